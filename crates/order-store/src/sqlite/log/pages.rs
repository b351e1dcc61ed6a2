//! Reading the log in its order.

use order_application::{PageLimit, Position, RecordedEvent};
use rusqlite::{Connection, params};

use crate::sqlite::log::LogError;
use crate::sqlite::log::row::{self, MAX_POSITION};
use crate::sqlite::log::scan::{no_event, rows};
use crate::sqlite_error::is_damage;

/// Asks for positions from one on, and not for those after another: that one may be on a page that cannot be read.
const LOG_PAGE: &str = rows!(row::columns!());

/// A page of the log after a position, up to its end; `None`: as far as it goes, since another process may be adding to it.
/// The page ends before an event that cannot be read; where that is the first, the error says what is wrong with it.
pub(crate) fn select(
    log: &Connection,
    after: Position,
    end: Option<Position>,
    limit: PageLimit,
) -> Result<Vec<RecordedEvent>, LogError> {
    let mut events = Vec::new();
    let up_to = end.unwrap_or(MAX_POSITION);
    if after >= up_to {
        return Ok(events);
    }
    let mut bytes = 0;
    let mut scratch = Vec::new();
    let mut statement = log.prepare_cached(LOG_PAGE)?;
    let mut rows = statement.query(params![after.0 + 1, up_to.0, limit.events])?;
    let mut expected = after;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            // A row that is lost, or in a wrong place, must not look like the end.
            Ok(None) if end.is_some() && events.is_empty() => return Err(no_event(after.plus(1))),
            Ok(None) => break,
            Err(error) if is_damage(&error) && !events.is_empty() => break,
            Err(error) => return Err(error.into()),
        };
        expected = expected.plus(1);
        let event = match row::read(row, &mut scratch) {
            Ok(event) if event.position == expected => event,
            _ if !events.is_empty() => break,
            Ok(_) => return Err(no_event(expected)),
            Err(error) => return Err(error.into()),
        };
        bytes += event.data.len();
        if bytes > limit.bytes && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    Ok(events)
}
