//! Opening a file to read it, without leaving anything behind.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::sqlite::connection::{companion, has_write_ahead_log, open_from_outside, real_path};
use crate::sqlite::store_lock::lock_path;
use crate::sqlite_error::SqliteError;

/// A file that is only read.
pub(crate) struct OutsideFile {
    pub(crate) connection: Connection,
    _companion: Companion,
}

/// The index of a write-ahead log, which SQLite makes for whoever reads it, and leaves if the reader may not write.
struct Companion {
    path: PathBuf,
    was_there: bool,
    /// What every server makes before it opens the store.
    lock: PathBuf,
    was_locked: bool,
}

impl OutsideFile {
    /// Opens a file of a log's store.
    pub(crate) fn open(log_path: &Path, path: &Path) -> Result<Self, SqliteError> {
        Self::open_as(log_path, path, !has_write_ahead_log(path))
    }

    /// The same without its write-ahead log, whatever there is.
    pub(crate) fn open_alone(log_path: &Path, path: &Path) -> Result<Self, SqliteError> {
        Self::open_as(log_path, path, true)
    }

    fn open_as(log_path: &Path, path: &Path, is_alone: bool) -> Result<Self, SqliteError> {
        let companion = Companion::of(log_path, path);
        let connection = open_from_outside(path, is_alone).map_err(SqliteError::sqlite(path))?;
        Ok(Self { connection, _companion: companion })
    }
}

impl Companion {
    fn of(log_path: &Path, path: &Path) -> Self {
        let (path, lock) = (companion(&real_path(path), "-shm"), lock_path(log_path));
        Self { was_there: path.exists(), path, was_locked: lock.exists(), lock }
    }
}

impl Drop for Companion {
    /// Dropped after the connection, as the order of the fields has it. A server that has started meanwhile, which only a
    /// store without a lock to hold lets it do, needs the file.
    fn drop(&mut self) {
        if !self.was_there && self.was_locked == self.lock.exists() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
