//! Why the log could not be read.

use std::path::Path;

use order_application::StoreError;

use crate::sqlite_error::{SqliteError, read_error};

#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// An event is not there, or is not what was written; or it could be read, and is of no use to whoever asked.
    #[error(transparent)]
    Event(#[from] StoreError),
}

impl LogError {
    /// The same of a log at a path that is being opened.
    pub(crate) fn at(self, path: &Path) -> SqliteError {
        match self {
            Self::Sqlite(error) => SqliteError::damaged_or_failed(path, error),
            Self::Event(error) => SqliteError::read(path)(error),
        }
    }
}

impl From<LogError> for StoreError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Sqlite(error) => read_error(&error),
            LogError::Event(error) => error,
        }
    }
}
