//! SQLite as either side of a copy: see [`crate::copy()`].

mod source;
mod target;

pub(crate) use source::SqliteSource;
pub(crate) use target::SqliteTarget;
