//! Reading the log in its order.

use std::ops::ControlFlow;

use order_application::{PageLimit, Position, RecordedEvent};
use rusqlite::Connection;

use crate::sqlite::log::LogError;
use crate::sqlite::log::row;
use crate::sqlite::log::scan::{rows, scan};

const LOG_PAGE: &str = rows!(row::columns!());

/// A page of the log after a position, up to its end. The page ends before an event that cannot be read, or that is not
/// there; where that is the first, the error says what is wrong with it.
pub(crate) fn select(
    log: &Connection,
    after: Position,
    end: Position,
    limit: PageLimit,
) -> Result<Vec<RecordedEvent>, LogError> {
    let mut events = Vec::new();
    let (mut bytes, mut scratch) = (0, Vec::new());
    let read = scan(log, LOG_PAGE, after, end, |_, row| {
        let event = row::read(row, &mut scratch)?;
        bytes += event.data.len();
        if bytes > limit.bytes && !events.is_empty() {
            return Ok(ControlFlow::Break(()));
        }
        events.push(event);
        Ok(if events.len() == limit.events { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    match read {
        Err(error) if events.is_empty() => Err(error),
        Ok(()) | Err(_) => Ok(events),
    }
}
