//! SQLite as either side of a copy: see [`crate::copy()`].

mod source;
mod target;

pub(crate) use source::SqliteSource;
pub(crate) use target::SqliteTarget;

use super::connection::OpenError;
use super::log::Log;
use crate::copy::LogEnd;

fn end(log: &Log) -> Result<LogEnd, OpenError> {
    let (head, last_event_id) = log.last_event()?;
    Ok(LogEnd { events: log.count()?, head, last_event_id })
}
