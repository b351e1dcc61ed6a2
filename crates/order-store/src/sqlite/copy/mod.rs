//! SQLite as either side of a copy: see [`crate::copy()`].

mod source;
mod target;

pub(crate) use crate::sqlite::copy::source::SqliteSource;
pub(crate) use crate::sqlite::copy::target::SqliteTarget;

use crate::copy::LogEnd;
use crate::sqlite::log::Log;
use crate::sqlite_error::OpenError;

fn end(log: &Log) -> Result<LogEnd, OpenError> {
    let (head, last_event_id) = log.last_event()?;
    Ok(LogEnd { events: log.count()?, head, last_event_id })
}
