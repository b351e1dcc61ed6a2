//! SQLite as either side of a copy: see [`crate::copy()`].

mod source;
mod target;

pub(crate) use crate::sqlite::copy::source::SqliteSource;
pub(crate) use crate::sqlite::copy::target::SqliteTarget;

use crate::copy::CountedEnd;
use crate::sqlite::log::Log;
use crate::sqlite_error::OpenError;

fn end(log: &Log) -> Result<CountedEnd, OpenError> {
    let (log_end, last_event_id) = log.last_event()?;
    Ok(CountedEnd { events: log.count()?, log_end, last_event_id })
}
