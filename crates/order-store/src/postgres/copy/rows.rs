//! Events and views as rows, many at once.

use std::collections::HashMap;
use std::pin::pin;

use deadpool_postgres::{Object, Transaction};
use order_application::{Position, RecordedEvent};
use order_domain::OrderId;
use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::checksum::Covered;
use crate::copy::{NamedCheckpoints, PlacedView};
use crate::postgres::columns::{column, made_by, parameters, view_columns};
use crate::postgres::row::system_time;

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

/// An order that is there already has a newer view now.
const PUT_VIEWS: &str = "\
    INSERT INTO order_service.orders AS o (key, order_id, state, version, customer_id, status, total_cents, placed_at, \
        updated_at, due_at, checksum, projection) \
    SELECT n.*, $12 FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS n \
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, version = excluded.version, \
        customer_id = excluded.customer_id, status = excluded.status, total_cents = excluded.total_cents, \
        placed_at = excluded.placed_at, updated_at = excluded.updated_at, due_at = excluded.due_at, \
        checksum = excluded.checksum, projection = excluded.projection";

/// Adds events, with checksums as this database has them, under the keys of their orders.
pub(super) async fn copy_events(
    transaction: &Transaction<'_>,
    events: &[RecordedEvent],
    keys: &HashMap<OrderId, Position>,
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
                &system_time(event.time),
                &event.order_id.as_str(),
                &event.data,
                &event.context.as_json(),
                &event.source.as_deref(),
                &Covered { position: None, ..Covered::of(event) }.checksum(&mut scratch),
            ])
            .await?;
    }
    writer.finish().await.map(drop)
}

/// Puts views under their keys. The check at the end of the copy compares them with what this release makes.
pub(super) async fn put_views(transaction: &Transaction<'_>, views: &[PlacedView]) -> Result<(), Error> {
    let mut columns = vec![column(Type::INT8_ARRAY, views, |(key, _)| key.0.cast_signed())];
    columns.extend(view_columns(views.iter().map(|(_, view)| view)));
    columns.push(made_by());
    transaction.execute_typed(PUT_VIEWS, &parameters(&columns)).await.map(drop)
}

/// Puts checkpoints, with nobody's leases, in the place of all that are there.
pub(super) async fn put_checkpoints(
    connection: &mut Object,
    checkpoints: &NamedCheckpoints,
) -> Result<(), Error> {
    let columns = [
        column(Type::TEXT_ARRAY, checkpoints, |(name, _)| name.as_str()),
        column(Type::INT8_ARRAY, checkpoints, |(_, checkpoint)| checkpoint.position.0.cast_signed()),
        column(Type::TEXT_ARRAY, checkpoints, |(_, checkpoint)| checkpoint.evidence.as_deref()),
    ];
    let transaction = connection.build_transaction().start().await?;
    transaction.batch_execute("DELETE FROM order_service.checkpoints").await?;
    transaction.execute_typed(INSERT_CHECKPOINTS, &parameters(&columns)).await?;
    transaction.commit().await
}
