//! Events and views as rows, many at once.

use std::collections::HashMap;
use std::pin::pin;

use deadpool_postgres::Transaction;
use order_application::{Position, RecordedEvent};
use order_domain::OrderId;
use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::checksum::Covered;
use crate::copy::NamedCheckpoints;
use crate::postgres::columns::{column, made_by, parameters, term_columns, view_columns};
use crate::postgres::row::system_time;
use crate::postgres::servers::Object;
use crate::postgres::times::LogTimes;
use crate::verify::{CheckedOrders, DerivedOrder};

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

/// Views come in no order, and go into the table in that of placement, which is that of lists. So do terms.
pub(super) const GATHER_VIEWS: &str = "\
    CREATE TEMPORARY TABLE gathered_views (LIKE order_service.orders) ON COMMIT DROP; \
    CREATE TEMPORARY TABLE gathered_terms (LIKE order_service.order_terms) ON COMMIT DROP";
const GATHER: &str = "INSERT INTO gathered_views (key, updated_position, order_id, state, version, customer_id, status, \
                      total_cents, placed_at, updated_at, due_at, on_hold, checksum, projection) \
                      SELECT n.*, $14 FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS n";
const GATHER_TERMS: &str = "INSERT INTO gathered_terms (key, kind, value) SELECT * FROM unnest($1, $2, $3)";
/// In the place of what an earlier run may have made. What plans are made from, too, or the first queries would be planned for
/// an empty table.
pub(super) const PUT_VIEWS: &str = "\
    DELETE FROM order_service.orders; \
    INSERT INTO order_service.orders SELECT * FROM gathered_views ORDER BY key; \
    DELETE FROM order_service.order_terms; \
    INSERT INTO order_service.order_terms SELECT * FROM gathered_terms ORDER BY key; \
    ANALYZE order_service.orders, order_service.order_terms";

const PUT_TIMES: &str =
    "INSERT INTO order_service.log_times (zone, earliest, latest) SELECT * FROM unnest($1, $2, $3)";

/// Views of one statement.
const MAX_VIEWS: usize = 5_000;

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

/// Takes the views and the terms that a part of the orders have to have.
pub(super) async fn gather_views(transaction: &Transaction<'_>, orders: &CheckedOrders) -> Result<(), Error> {
    let derived: Vec<DerivedOrder> = orders.derived().collect();
    for orders in derived.chunks(MAX_VIEWS) {
        let mut columns = vec![
            column(Type::INT8_ARRAY, orders, |order| order.placed_position.0.cast_signed()),
            column(Type::INT8_ARRAY, orders, |order| order.updated_position.0.cast_signed()),
        ];
        columns.extend(view_columns(orders.iter().map(|order| &order.view)));
        columns.push(made_by());
        transaction.execute_typed(GATHER, &parameters(&columns)).await?;
        let with_keys = |order: &'_ DerivedOrder| order.placed_position.0.cast_signed();
        let terms: Vec<_> = orders
            .iter()
            .flat_map(|order| order.terms.iter().map(move |term| (with_keys(order), term)))
            .collect();
        let columns = term_columns(Type::INT8_ARRAY, &terms);
        transaction.execute_typed(GATHER_TERMS, &parameters(&columns)).await?;
    }
    Ok(())
}

/// Puts the times of the log's zones in the place of those that an earlier run may have made.
pub(super) async fn put_times(
    transaction: &Transaction<'_>,
    times: &LogTimes,
    end: Position,
) -> Result<(), Error> {
    let zones: Vec<_> = times.zones(end).filter_map(|(zone, times)| Some((zone, times?))).collect();
    let columns = [
        column(Type::INT8_ARRAY, &zones, |(zone, _)| *zone),
        column(Type::TIMESTAMPTZ_ARRAY, &zones, |(_, times)| system_time(times.earliest)),
        column(Type::TIMESTAMPTZ_ARRAY, &zones, |(_, times)| system_time(times.latest)),
    ];
    transaction.batch_execute("DELETE FROM order_service.log_times").await?;
    transaction.execute_typed(PUT_TIMES, &parameters(&columns)).await?;
    transaction.batch_execute("ANALYZE order_service.log_times").await
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
