//! Reads of many rows, in pages whose size the database bounds. Planned anew each time: the right plan for a small table
//! is the wrong one for a large one, and a page costs far more than its plan.

use std::time::Duration;

use order_application::{ListQuery, OrderPage, PageLimit, Position, RecordedEvent, StoreError, Version};
use order_domain::OrderId;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::database::Database;
use super::row::{event_columns, order_columns, read_event, read_order};
use crate::copy::PlacedView;

/// Whoever probes does not wait for long.
const CHECK_PATIENCE: Duration = Duration::from_millis(800);

/// Events of one page, whatever is asked for. An order has no more.
const MAX_PAGE_EVENTS: i64 = 10_000;

const STREAM: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM (",
    "SELECT e.*, sum(octet_length(e.data)) OVER (ORDER BY e.version) - octet_length(e.data) AS bytes_before ",
    "FROM order_service.events e ",
    "WHERE e.order_key = (SELECT o.key FROM order_service.orders o WHERE o.order_id = $1) AND e.version > $2 ",
    "ORDER BY e.version LIMIT $3",
    ") e WHERE e.bytes_before < $4 ORDER BY e.version",
);

const LOG: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM (",
    "SELECT e.*, sum(octet_length(e.data)) OVER (ORDER BY e.position) - octet_length(e.data) AS bytes_before ",
    "FROM order_service.events e WHERE e.position > $1 ORDER BY e.position LIMIT $2",
    ") e WHERE e.bytes_before < $3 ORDER BY e.position",
);

const LIST: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM order_service.orders o WHERE o.key > $1 ORDER BY o.key LIMIT $2",
);

const HEAD: &str = "SELECT coalesce(max(position), 0) FROM order_service.events";

/// A page of an order's events after a version.
pub(super) async fn stream(
    database: &Database,
    order_id: &OrderId,
    after: Version,
    limit: PageLimit,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let (events, bytes) = bounds(limit);
    let after = after.0.cast_signed();
    let rows = database
        .query(
            STREAM,
            &[
                (&order_id.as_str(), Type::TEXT),
                (&after, Type::INT8),
                (&events, Type::INT8),
                (&bytes, Type::INT8),
            ],
        )
        .await?;
    read_events(&rows)
}

/// A page of the log after a position.
pub(super) async fn log(
    database: &Database,
    after: Position,
    limit: PageLimit,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let (events, bytes) = bounds(limit);
    let after = after.0.cast_signed();
    let rows =
        database.query(LOG, &[(&after, Type::INT8), (&events, Type::INT8), (&bytes, Type::INT8)]).await?;
    read_events(&rows)
}

/// A page of views in placement order.
pub(super) async fn list(database: &Database, query: &ListQuery) -> Result<OrderPage, StoreError> {
    // One more than is wanted tells whether there is a next page.
    let rows =
        rows(database, query.after, i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1)).await?;
    Ok(OrderPage::of(rows, query.limit))
}

/// The views of orders that were placed after a position.
pub(super) async fn rows(
    database: &Database,
    after: Position,
    limit: i64,
) -> Result<Vec<PlacedView>, StoreError> {
    let after = after.0.cast_signed();
    let rows = database.query(LIST, &[(&after, Type::INT8), (&limit, Type::INT8)]).await?;
    rows.iter().map(read_order).collect()
}

/// The last position.
pub(super) async fn head(database: &Database) -> Result<Position, StoreError> {
    let rows = database.query(HEAD, &[]).await?;
    let head = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
    Ok(Position(head.map_err(|e| StoreError::Corrupt(e.to_string()))?.cast_unsigned()))
}

/// Whether the database takes orders: it is there, and no standby.
pub(super) async fn check(database: &Database) -> Result<(), StoreError> {
    let rows = database.query_within(CHECK_PATIENCE, "SELECT pg_is_in_recovery()", &[]).await?;
    match rows.first().map(|row| row.try_get(0)) {
        Some(Ok(false)) => Ok(()),
        Some(Ok(true)) => Err(StoreError::Unavailable("the database is a standby".to_owned())),
        Some(Err(_)) | None => {
            Err(StoreError::Unavailable("the database does not know what it is".to_owned()))
        }
    }
}

fn bounds(limit: PageLimit) -> (i64, i64) {
    let events = i64::try_from(limit.events).unwrap_or(i64::MAX).min(MAX_PAGE_EVENTS);
    // At least one event, however large: the first has no bytes before it.
    (events, i64::try_from(limit.bytes).unwrap_or(i64::MAX).max(1))
}

pub(super) fn read_events(rows: &[Row]) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut scratch = Vec::new();
    rows.iter().map(|row| read_event(row, &mut scratch)).collect()
}
