//! The lock that keeps a second server off a store's files.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::sqlite::views::files;
use crate::sqlite_error::SqliteError;

/// An exclusive lock on a file beside the log, let go by the system when the process ends, however it ends.
pub(crate) struct DirectoryLock {
    file: File,
}

/// Where the lock of a log is: beside the file itself, whatever links lead to it.
pub(crate) fn lock_path(log_path: &Path) -> PathBuf {
    log_path.canonicalize().unwrap_or_else(|_| log_path.to_owned()).with_extension("lock")
}

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a process that was just begun has it as well, until it runs its own program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl DirectoryLock {
    /// Takes the lock if there is one to take: no server has ever run where there is none.
    pub(crate) fn take_if_there(log_path: &Path) -> Result<Option<Self>, SqliteError> {
        let there = lock_path(log_path).exists();
        there.then(|| Self::take(log_path)).transpose()
    }

    /// Creates the directory if need be and takes the lock.
    pub(crate) fn take(log_path: &Path) -> Result<Self, SqliteError> {
        let directory = files::directory(log_path);
        if !directory.is_dir() {
            create_durably(directory).map_err(SqliteError::io(directory))?;
        }
        let path = lock_path(log_path);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(SqliteError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(SqliteError::InUse(log_path.to_owned())),
            Err(TryLockError::Error(cause)) => Err(SqliteError::Io { path, cause }),
        }
    }
}

/// Creates a directory and those above it that are missing, and makes their names durable, where the system lets
/// directories be synced.
fn create_durably(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for parent in directory.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if let Ok(parent) = File::open(parent) {
            let _ = parent.sync_all();
        }
    }
    Ok(())
}
