//! Events and views as rows, many at once.

use std::collections::HashMap;
use std::pin::pin;

use deadpool_postgres::{Object, Transaction};
use order_application::{ListedOrder, OrderSummary, Position, RecordedEvent};
use order_domain::OrderId;
use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::checksum::Checked;
use crate::copy::NamedCheckpoints;
use crate::postgres::database::Parameter;
use crate::postgres::row::PgTime;

const COPY_EVENTS: &str = "COPY order_service.events (position, order_key, version, id, type, time, order_id, data, \
                           context, source, checksum) FROM STDIN (FORMAT binary)";

const INSERT_CHECKPOINTS: &str = "INSERT INTO order_service.checkpoints (name, position, evidence) \
                                  SELECT * FROM unnest($1, $2, $3)";

const EVENT_TYPES: [Type; 11] = [
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::UUID,
    Type::TEXT,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
];

const COPY_VIEWS: &str = "COPY order_service.orders (key, order_id, customer_id, status, total_cents, version, placed_at, \
                          updated_at) FROM STDIN (FORMAT binary)";

const VIEW_TYPES: [Type; 8] = [
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
];

const UPDATE_VIEWS: &str = "UPDATE order_service.orders o \
    SET status = n.status, total_cents = n.total, version = n.version, updated_at = n.updated_at \
    FROM unnest($1, $2, $3, $4, $5) AS n(order_id, status, total, version, updated_at) WHERE o.order_id = n.order_id";

/// Adds events, with checksums as this database has them, under the keys of their orders.
pub(super) async fn copy_events(
    transaction: &Transaction<'_>,
    events: &[RecordedEvent],
    keys: &HashMap<&OrderId, Position>,
) -> Result<(), Error> {
    let sink = transaction.copy_in(COPY_EVENTS).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &EVENT_TYPES));
    let mut scratch = Vec::new();
    for event in events {
        let key = keys.get(&event.order_id).map(|key| key.0.cast_signed());
        writer
            .as_mut()
            .write(&[
                &event.position.0.cast_signed(),
                &key,
                &event.version.0.cast_signed(),
                &event.id,
                &event.event_type,
                &PgTime(event.time),
                &event.order_id.as_str(),
                &event.data,
                &event.context.as_json(),
                &event.source.as_deref(),
                &Checked { position: None, ..Checked::of(event) }.checksum(&mut scratch).as_bytes(),
            ])
            .await?;
    }
    writer.finish().await.map(drop)
}

/// Adds the views of orders that are new.
pub(super) async fn copy_views(transaction: &Transaction<'_>, views: &[ListedOrder]) -> Result<(), Error> {
    if views.is_empty() {
        return Ok(());
    }
    let sink = transaction.copy_in(COPY_VIEWS).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &VIEW_TYPES));
    for ListedOrder { placed_position, summary } in views {
        writer
            .as_mut()
            .write(&[
                &placed_position.0.cast_signed(),
                &summary.order_id.as_str(),
                &summary.customer_id.as_str(),
                &summary.status.as_str(),
                &summary.total.get(),
                &summary.version.0.cast_signed(),
                &PgTime(summary.placed_at),
                &PgTime(summary.updated_at),
            ])
            .await?;
    }
    writer.finish().await.map(drop)
}

/// Puts checkpoints, with nobody's leases, in the place of all that are there.
pub(super) async fn put_checkpoints(
    connection: &mut Object,
    checkpoints: &NamedCheckpoints,
) -> Result<(), Error> {
    let names: Vec<&str> = checkpoints.iter().map(|(name, _)| name.as_str()).collect();
    let positions: Vec<i64> = checkpoints.iter().map(|(_, at)| at.position.0.cast_signed()).collect();
    let evidence: Vec<Option<&str>> = checkpoints.iter().map(|(_, at)| at.evidence.as_deref()).collect();
    let parameters: &[Parameter<'_>] =
        &[(&names, Type::TEXT_ARRAY), (&positions, Type::INT8_ARRAY), (&evidence, Type::TEXT_ARRAY)];
    let transaction = connection.build_transaction().start().await?;
    transaction.batch_execute("DELETE FROM order_service.checkpoints").await?;
    transaction.execute_typed(INSERT_CHECKPOINTS, parameters).await?;
    transaction.commit().await
}

/// Takes newer views over those that are there.
pub(super) async fn update_views(transaction: &Transaction<'_>, views: &[OrderSummary]) -> Result<(), Error> {
    let order_ids: Vec<&str> = views.iter().map(|view| view.order_id.as_str()).collect();
    let statuses: Vec<&str> = views.iter().map(|view| view.status.as_str()).collect();
    let totals: Vec<i64> = views.iter().map(|view| view.total.get()).collect();
    let versions: Vec<i64> = views.iter().map(|view| view.version.0.cast_signed()).collect();
    let times: Vec<PgTime> = views.iter().map(|view| PgTime(view.updated_at)).collect();
    let parameters: &[Parameter<'_>] = &[
        (&order_ids, Type::TEXT_ARRAY),
        (&statuses, Type::TEXT_ARRAY),
        (&totals, Type::INT8_ARRAY),
        (&versions, Type::INT8_ARRAY),
        (&times, Type::TIMESTAMPTZ_ARRAY),
    ];
    transaction.execute_typed(UPDATE_VIEWS, parameters).await.map(drop)
}
