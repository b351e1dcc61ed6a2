//! Reading the log in its order.

use order_application::{PageLimit, Position, RecordedEvent, StoreError};
use rusqlite::{Connection, params};

use super::super::connection::is_damage;
use super::super::row;
use super::scan::{no_event, rows};

/// Asks for positions from one on, and not for those after another: that one may be on a page that cannot be read.
const LOG_PAGE: &str = rows!(row::columns!());

/// A page of the log after a position, up to `head`. It ends before an event that cannot be read; where that is the first,
/// the inner error says what is wrong with it.
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
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) if is_damage(&error) && !events.is_empty() => break,
            Err(error) => return Err(error),
        };
        expected = expected.plus(1);
        let event = match row::read(row, &mut scratch) {
            Ok(event) if event.position == expected => event,
            _ if !events.is_empty() => break,
            Ok(_) => return Ok(Err(no_event(expected))),
            Err(error) => return Ok(Err(error)),
        };
        bytes += event.data.len();
        if bytes > limit.bytes && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    Ok(Ok(events))
}
