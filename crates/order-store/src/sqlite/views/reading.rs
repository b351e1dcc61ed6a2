//! Looking things up in a snapshot of the views. Each answer is checked.

use order_application::{DuePlace, DueQuery, OrderView, Position, Version};
use order_domain::{OrderId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::sqlite::log::row::MAX_POSITION;
use crate::sqlite::views::ViewsError;
use crate::sqlite::views::finding::FoundOrder;
use crate::sqlite::views::id_ranges::prove_range;
use crate::sqlite::views::overlay::{OrderKey, StreamState};
use crate::sqlite::views::progress::FileProgress;
use crate::sqlite::views::schema::{NEXT_COLUMN, order_columns, read_order};

/// The rows of the orders whose ids have a hash. One that the index has and the table lacks is null.
const FIND: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", i.key FROM order_ids AS i LEFT JOIN orders AS o ON o.key = i.key WHERE i.hash = ?1 AND i.key <= ?2"
);

const LIST: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", o.previous_key FROM orders AS o WHERE o.key > ?1 ORDER BY o.key LIMIT ?2"
);

const LIST_DOWN: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", o.previous_key FROM orders AS o WHERE o.key <= ?1 ORDER BY o.key DESC LIMIT ?2"
);

const FIRST: &str =
    concat!("SELECT ", order_columns!(), " FROM orders AS o WHERE o.key >= ?1 ORDER BY o.key LIMIT 1");

const NEXT: &str = "SELECT key, previous_key FROM orders WHERE key > ?1 ORDER BY key LIMIT 1";

const DUE: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", o.due_at FROM orders AS o WHERE o.due_at IS NOT NULL AND o.due_at <= ?1 AND (o.due_at, o.key) > (?2, ?3) \
     ORDER BY o.due_at, o.key LIMIT ?4"
);

const POSITIONS: &str = "SELECT version, position FROM order_events \
    WHERE key = ?1 AND version > ?2 ORDER BY version LIMIT ?3";

/// The key and the view of an order; `None` if it is certain that there is no such order.
pub(crate) fn find(
    views: &Connection,
    order_id: &OrderId,
    hash: i64,
) -> Result<Option<(OrderKey, OrderView)>, ViewsError> {
    let found = find_unproven(views, order_id, hash, MAX_POSITION)?;
    if found.is_none() {
        prove_range(views, hash)?;
    }
    Ok(found)
}

/// Where an order stands, for whoever decides on it. The index of events must know of none that its row does not: a row
/// that is older than that, as after a write that was lost, adds up by itself.
pub(crate) fn stream_state(
    views: &Connection,
    order_id: &OrderId,
    hash: i64,
) -> Result<Option<StreamState>, ViewsError> {
    let Some((key, view)) = find(views, order_id, hash)? else { return Ok(None) };
    let stream = StreamState::of(key, &view);
    if !stream.is_damaged && !positions(views, key, stream.version, Version(u64::MAX), 1)?.is_empty() {
        let what = format!("the view of order {order_id} is older than the index of its events");
        return Err(ViewsError::Damaged(what));
    }
    Ok(Some(stream))
}

/// The key and the view of an order that was placed up to a position, for whoever has the order's events at hand: `None` if the index
/// does not have it.
pub(crate) fn find_unproven(
    views: &Connection,
    order_id: &OrderId,
    hash: i64,
    up_to: Position,
) -> Result<Option<(OrderKey, OrderView)>, ViewsError> {
    let mut statement = views.prepare_cached(FIND)?;
    let mut rows = statement.query(params![hash, up_to.0])?;
    let mut scratch = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get(NEXT_COLUMN)?;
        let view = read_order(row, key, &mut scratch)?;
        // Another order may have the same hash.
        if view.order_id() == order_id {
            return Ok(Some((key, view)));
        }
    }
    Ok(None)
}

/// The first order that was placed at a position or later.
pub(crate) fn first_from(
    views: &Connection,
    position: Position,
) -> Result<Option<(OrderKey, OrderView)>, ViewsError> {
    let mut statement = views.prepare_cached(FIRST)?;
    let mut rows = statement.query([position.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key = row.get(0)?;
    Ok(Some((key, read_order(row, key, &mut Vec::new())?)))
}

/// The orders that were placed after a position, without one that is lost: each names the one before, and the last is where
/// the views say that they end.
pub(crate) fn list(views: &Connection, after: Position, limit: usize) -> Result<Vec<FoundOrder>, ViewsError> {
    let mut statement = views.prepare_cached(LIST)?;
    let mut rows = statement.query(params![after.0, limit])?;
    let mut scratch = Vec::new();
    let mut list: Vec<FoundOrder> = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get(0)?;
        let previous: OrderKey = row.get(NEXT_COLUMN)?;
        if list.last().map_or(previous > after.0, |last| previous != last.key) {
            return Err(does_not_follow(key));
        }
        list.push(FoundOrder::read(row, key, &mut scratch)?);
    }
    if list.len() < limit {
        check_end(views, list.last().map_or(after.0, |last| last.key))?;
    }
    Ok(list)
}

/// The orders that were placed up to a position, the last first, without one that is lost.
pub(crate) fn list_down(
    views: &Connection,
    up_to: Position,
    limit: usize,
) -> Result<Vec<FoundOrder>, ViewsError> {
    let mut statement = views.prepare_cached(LIST_DOWN)?;
    let mut rows = statement.query(params![up_to.0, limit])?;
    let mut scratch = Vec::new();
    let mut list = Vec::new();
    let mut expected: Option<OrderKey> = None;
    while let Some(row) = rows.next()? {
        let key = row.get(0)?;
        match expected {
            None => check_end_below(views, up_to, key)?,
            Some(expected) if expected != key => return Err(does_not_follow(key)),
            Some(_) => {}
        }
        expected = Some(row.get(NEXT_COLUMN)?);
        list.push(FoundOrder::read(row, key, &mut scratch)?);
    }
    match expected {
        None => check_end_below(views, up_to, 0)?,
        Some(before) if before > 0 && list.len() < limit => return Err(does_not_follow(before)),
        Some(_) => {}
    }
    Ok(list)
}

fn does_not_follow(key: OrderKey) -> ViewsError {
    let what = format!("the view with the key {key} does not follow on the one that is before it");
    ViewsError::Damaged(what)
}

/// The views reach to where they say that they end. There may be more while a generation is being written.
fn check_end(views: &Connection, last: OrderKey) -> Result<(), ViewsError> {
    let end = FileProgress::load(views)?.last_key;
    if last < end {
        return Err(ViewsError::Damaged(format!("the views end before the key {end}")));
    }
    Ok(())
}

/// No order is lost between the last one up to a position and the next.
fn check_end_below(views: &Connection, up_to: Position, last: OrderKey) -> Result<(), ViewsError> {
    let mut next = views.prepare_cached(NEXT)?;
    let next = next.query_row([up_to.0], |row| Ok((row.get::<_, OrderKey>(0)?, row.get::<_, OrderKey>(1)?)));
    match next.optional()? {
        Some((key, previous)) if previous != last => Err(does_not_follow(key)),
        Some(_) => Ok(()),
        None => check_end(views, last),
    }
}

/// The rows of orders that are due, in their order.
pub(crate) fn due(views: &Connection, query: &DueQuery) -> Result<Vec<(DuePlace, OrderView)>, ViewsError> {
    let after =
        query.after.map_or((i64::MIN, 0), |after| (after.due_at.as_micros(), after.placed_position.0));
    let mut statement = views.prepare_cached(DUE)?;
    let mut rows = statement.query(params![query.until.as_micros(), after.0, after.1, query.limit])?;
    let mut scratch = Vec::new();
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let key: OrderKey = row.get(0)?;
        let due_at = Timestamp::from_micros(row.get(NEXT_COLUMN)?);
        let place = DuePlace { due_at, placed_position: Position(key) };
        due.push((place, read_order(row, key, &mut scratch)?));
    }
    Ok(due)
}

/// Where an order's events after a version are, but for the first, up to another version, ascending.
pub(crate) fn positions(
    views: &Connection,
    key: OrderKey,
    after: Version,
    below: Version,
    limit: usize,
) -> Result<Vec<(Version, Position)>, ViewsError> {
    let mut statement = views.prepare_cached(POSITIONS)?;
    let mut rows = statement.query(params![key, after.0, limit])?;
    let mut positions = Vec::new();
    while let Some(row) = rows.next()? {
        let version = Version(row.get(0)?);
        if version >= below {
            break;
        }
        positions.push((version, Position(row.get(1)?)));
    }
    Ok(positions)
}
