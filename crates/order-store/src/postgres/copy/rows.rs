//! Events and views as rows, many at once.

use std::collections::HashMap;
use std::pin::pin;

use deadpool_postgres::{Object, Transaction};
use order_application::{OrderView, Position, RecordedEvent};
use order_domain::OrderId;
use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::checksum::Checked;
use crate::copy::{NamedCheckpoints, PlacedView};
use crate::postgres::database::Parameter;
use crate::postgres::projection;
use crate::postgres::row::{PgTime, view_checksum};
use crate::postgres::view_columns::ViewColumns;
use crate::view_row::ViewRow;

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

const COPY_VIEWS: &str = "COPY order_service.orders (key, order_id, state, version, customer_id, status, total_cents, \
                          placed_at, updated_at, checksum, projection) FROM STDIN (FORMAT binary)";

const VIEW_TYPES: [Type; 11] = [
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::BYTEA,
    Type::INT4,
];

const UPDATE_VIEWS: &str = "UPDATE order_service.orders o \
    SET state = n.state, version = n.version, customer_id = n.customer_id, status = n.status, \
        total_cents = n.total_cents, placed_at = n.placed_at, updated_at = n.updated_at, checksum = n.checksum, \
        projection = $10 \
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) \
        AS n(order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, checksum) \
        JOIN order_service.events b ON b.order_id = n.order_id AND b.version = 1 \
    WHERE o.key = b.position";

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
                &Checked { position: None, ..Checked::of(event) }.checksum(&mut scratch),
            ])
            .await?;
    }
    writer.finish().await.map(drop)
}

/// Adds the views of orders that are new.
pub(super) async fn copy_views(transaction: &Transaction<'_>, views: &[PlacedView]) -> Result<(), Error> {
    if views.is_empty() {
        return Ok(());
    }
    let sink = transaction.copy_in(COPY_VIEWS).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &VIEW_TYPES));
    let mut scratch = Vec::new();
    for (placed_position, view) in views {
        let row = ViewRow::of(view);
        writer
            .as_mut()
            .write(&[
                &placed_position.0.cast_signed(),
                &row.order_id,
                &row.state,
                &row.version.cast_signed(),
                &row.customer_id,
                &row.status,
                &row.total_cents,
                &row.placed_at.map(PgTime),
                &row.updated_at.map(PgTime),
                &view_checksum(&row, projection(), &mut scratch),
                // The check at the end of the copy compares it with what this release makes.
                &projection(),
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
pub(super) async fn update_views(transaction: &Transaction<'_>, views: &[OrderView]) -> Result<(), Error> {
    let columns = ViewColumns::of(views);
    let made_by = projection();
    let parameters: Vec<_> = columns.parameters().into_iter().chain([(&made_by as _, Type::INT4)]).collect();
    transaction.execute_typed(UPDATE_VIEWS, &parameters).await.map(drop)
}
