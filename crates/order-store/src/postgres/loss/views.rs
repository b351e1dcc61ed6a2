//! The views that were written last, held against the log.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use order_application::{OrderView, Position, Version};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::PostgresLoss;
use crate::postgres::row::{
    ORDER_COLUMNS, StoredView, event_columns, number, order_columns, read_event, read_order,
};
use crate::postgres::servers::Object;

/// What is looked at: views that were written by the last events.
const LOOKED_AT: i64 = 256;

/// Rows of views, each with the version that its order has in the log.
const NEWEST: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", l.version FROM (SELECT * FROM order_service.orders ORDER BY updated_position DESC LIMIT $1) o \
     LEFT JOIN LATERAL (SELECT e.position FROM order_service.events e \
         WHERE e.order_id = o.order_id AND e.version = 1 LIMIT 1) b ON true \
     LEFT JOIN LATERAL (SELECT e.version FROM order_service.events e \
         WHERE e.order_key = b.position ORDER BY e.version DESC LIMIT 1) l ON true \
     ORDER BY o.updated_position DESC"
);
/// Where the log's version is among these columns.
const LOG_VERSION: usize = ORDER_COLUMNS;

const EVENT: &str =
    concat!("SELECT ", event_columns!(), " FROM order_service.events e WHERE e.position = $1");

const VERSIONS: &str = "\
    SELECT a.order_id, coalesce((SELECT e.version FROM order_service.events e \
            WHERE e.order_key = b.position ORDER BY e.version DESC LIMIT 1), 0) \
        FROM unnest($1) AS a(order_id) \
        JOIN LATERAL (SELECT e.position FROM order_service.events e \
            WHERE e.order_id = a.order_id AND e.version = 1 LIMIT 1) b ON true";

/// What views know of and the log does not have: the last event that it lacks, or else one in whose place it has another.
pub(super) async fn losses(snapshot: &Transaction<'_>, end: Position) -> Result<Option<PostgresLoss>, Error> {
    let mut of_another = None;
    for row in snapshot.query_typed(NEWEST, &[(&LOOKED_AT, Type::INT8)]).await? {
        let Some(StoredView { view, updated_position: position, .. }) = ahead_of_its_order(&row)? else {
            continue;
        };
        let (order_id, version) = (view.order_id().clone(), view.version());
        if position > end {
            return Ok(Some(PostgresLoss::ViewsAhead { position, order_id, version, end }));
        }
        if of_another.is_none() && has_another(snapshot, position, &order_id).await? {
            of_another = Some(PostgresLoss::OtherHistory { order_id, version, position });
        }
    }
    Ok(of_another)
}

/// The row's view, if it is what was written, and of a later version than its order has in the log. Of a row that is damaged
/// nothing follows; and where the last event is said to be, no checksum covers.
fn ahead_of_its_order(row: &Row) -> Result<Option<StoredView>, Error> {
    let found = row.try_get::<_, Option<i64>>(LOG_VERSION)?.unwrap_or_default();
    let stored = read_order(row, 0).ok();
    Ok(stored.filter(|stored| stored.view.version().0 > found.cast_unsigned()))
}

/// Whether there is an event at a position that is another order's. One that is missing there, or damaged, is told where it
/// is met: its order alone is refused.
async fn has_another(
    snapshot: &Transaction<'_>,
    position: Position,
    order_id: &OrderId,
) -> Result<bool, Error> {
    let row = snapshot.query_typed_opt(EVENT, &[(&position.0.cast_signed(), Type::INT8)]).await?;
    let event = row.and_then(|row| read_event(&row, &mut Vec::new()).ok());
    Ok(event.is_some_and(|event| event.order_id != *order_id))
}

/// An order as something beside the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct TracedOrder {
    pub(in crate::postgres) order_id: OrderId,
    pub(in crate::postgres) version: Version,
}

impl TracedOrder {
    pub(in crate::postgres) fn of(view: &OrderView) -> Self {
        Self { order_id: view.order_id().clone(), version: view.version() }
    }
}

/// Those of which the log lacks an event.
pub(in crate::postgres) async fn lost_orders(
    client: &Object,
    traced: Vec<TracedOrder>,
) -> Result<Vec<TracedOrder>, Error> {
    if traced.is_empty() {
        return Ok(traced);
    }
    let order_ids: Vec<&str> = traced.iter().map(|order| order.order_id.as_str()).collect();
    let rows = client.query_typed(VERSIONS, &[(&order_ids, Type::TEXT_ARRAY)]).await?;
    let found = rows.iter().map(|row| Ok((row.try_get::<_, String>(0)?, Version(number(row, 1)?))));
    let found: HashMap<_, _> = found.collect::<Result<_, Error>>()?;
    let is_lost =
        |order: &TracedOrder| found.get(order.order_id.as_str()).is_none_or(|found| *found < order.version);
    Ok(traced.into_iter().filter(is_lost).collect())
}
