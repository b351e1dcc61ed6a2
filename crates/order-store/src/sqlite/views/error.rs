//! Why views could not be read or written.

use std::path::Path;

use crate::sqlite_error::{SqliteError, is_damage};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewsError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// What is there does not add up, or contradicts what is to be written.
    #[error("{0}")]
    Damaged(String),
    /// They are right, and nothing that this release or this log could use.
    #[error("{0}")]
    Useless(String),
}

impl ViewsError {
    /// What is wrong with what is in the file, if that is the reason.
    pub(crate) fn damage(&self) -> Option<String> {
        match self {
            Self::Damaged(what) => Some(what.clone()),
            Self::Sqlite(error) => is_damage(error).then(|| error.to_string()),
            Self::Useless(_) => None,
        }
    }

    /// The same of a file at a path.
    pub(crate) fn at(self, path: &Path) -> SqliteError {
        match self {
            Self::Sqlite(error) => SqliteError::damaged_or_failed(path, error),
            Self::Damaged(what) | Self::Useless(what) => SqliteError::Corrupt { path: path.to_owned(), what },
        }
    }
}
