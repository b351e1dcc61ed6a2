//! Reading the log in its order.

use order_application::{PageLimit, Position, RecordedEvent, StoreError};
use rusqlite::{Connection, params};

use super::super::row;

/// Asks for positions from one on, and not for those after another: that one may be on a page that cannot be read.
const LOG_PAGE: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM events WHERE position >= ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
);

/// A page of the log after a position, up to `head`. The inner error says what is wrong with an event.
pub(in crate::sqlite) fn select(
    log: &Connection,
    after: Position,
    head: Position,
    limit: PageLimit,
) -> rusqlite::Result<Result<Vec<RecordedEvent>, StoreError>> {
    let mut events = Vec::new();
    if after >= head {
        return Ok(Ok(events));
    }
    let mut bytes = 0;
    let mut scratch = Vec::new();
    let mut statement = log.prepare_cached(LOG_PAGE)?;
    let mut rows = statement.query(params![after.0 + 1, head.0, limit.events])?;
    let mut expected = after;
    while let Some(row) = rows.next()? {
        let event = match row::read(row, &mut scratch) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        expected = expected.plus(1);
        if event.position != expected {
            return Ok(Err(StoreError::Corrupt(format!("no event at position {expected}"))));
        }
        bytes += event.data.len();
        if bytes > limit.bytes && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    Ok(Ok(events))
}
