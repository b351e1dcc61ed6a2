//! The locks that keep a second server off a store's files.
//!
//! One is on a file beside the log: it can be taken before there is a log, and before any of the store's files is opened. One
//! is on the log's own file, and holds wherever links lead to it, and when the other file was removed.
//!
//! Both are `flock` locks, and SQLite's are `fcntl` locks: neither sees the others. But when any descriptor of a file is
//! closed, the process loses all `fcntl` locks on it. So the log's own is opened before SQLite opens the file, and closed
//! after it has.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access};

use crate::sqlite::OpenMode;
use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::log_path;
use crate::sqlite::loss;
use crate::sqlite::views::files;
use crate::sqlite_error::SqliteError;

/// Nobody but the owner reads orders.
const DIRECTORY_MODE: u32 = 0o700;
pub(crate) const FILE_MODE: u32 = 0o600;

/// Both locks. They are let go by the system when the process ends, however it ends.
pub(crate) struct StoreLock {
    // Dropped in this order: whoever waits for the directory finds nobody on the log.
    log: Option<LockedFile>,
    _directory: Option<LockedFile>,
}

/// Where the lock of a log is: beside the file itself, whatever links lead to it.
pub(crate) fn lock_path(log_path: &Path) -> PathBuf {
    real_path(log_path).with_extension("lock")
}

impl StoreLock {
    /// Locks a store for whoever goes on to open it, and makes sure before that its files belong together. Where there is no
    /// log, and one may be made, its directory is made and an empty file.
    pub(crate) fn take(log_path: &Path, mode: OpenMode) -> Result<Self, SqliteError> {
        log_path::check(log_path)?;
        check_kinds(log_path)?;
        if !mode.create && !log_path.exists() {
            loss::check(log_path, false)?;
            return Err(SqliteError::missing(log_path));
        }
        let directory = files::directory(log_path);
        if !directory.is_dir() {
            create_durably(directory).map_err(SqliteError::io(directory))?;
        }
        check_access(log_path)?;
        let path = lock_path(log_path);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE);
        let directory = LockedFile::take(&options, &path, log_path)?;
        let there = log_path.exists().then(|| Self::lock_log(log_path, mode)).transpose()?;
        loss::check(log_path, mode.accept_loss)?;
        let log = there.map_or_else(|| Self::lock_log(log_path, mode), Ok)?;
        Ok(Self { log: Some(log), _directory: Some(directory) })
    }

    /// The log's own file, for whoever looks at it while it is open: no other descriptor of it may be closed by then.
    pub(crate) fn log_file(&self) -> Option<Arc<File>> {
        self.log.as_ref().map(|log| Arc::clone(&log.0))
    }

    fn lock_log(log_path: &Path, mode: OpenMode) -> Result<LockedFile, SqliteError> {
        let mut options = OpenOptions::new();
        options.create(mode.create).truncate(false).read(true).write(true).mode(FILE_MODE);
        let log = LockedFile::take(&options, log_path, log_path)?;
        let links = log.0.metadata().map_err(SqliteError::io(log_path))?.nlink();
        if links > 1 {
            return Err(SqliteError::Linked { path: log_path.to_owned(), links });
        }
        Ok(log)
    }

    /// Locks a store that is only read, and makes nothing: no server has ever run where there is no lock to take.
    pub(crate) fn take_to_read(log_path: &Path) -> Result<Self, SqliteError> {
        log_path::check(log_path)?;
        check_kinds(log_path)?;
        let path = lock_path(log_path);
        let there = |path: &Path, options: &OpenOptions| {
            path.exists().then(|| LockedFile::take(options, path, log_path)).transpose()
        };
        let directory = there(&path, OpenOptions::new().write(true))?;
        Ok(Self { log: there(log_path, OpenOptions::new().read(true))?, _directory: directory })
    }
}

/// Makes sure that none of a store's files is a pipe or a directory, before anything is opened.
fn check_kinds(log_path: &Path) -> Result<(), SqliteError> {
    log_path::check_kind(&lock_path(log_path))?;
    database_files(log_path)?.iter().try_for_each(|file| log_path::check_kind(file))
}

/// Makes sure that whatever is there can be read and written. SQLite opens what it can only read as well, and fails at the first
/// command; and in a directory that may not be written no views can be made anew.
fn check_access(log_path: &Path) -> Result<(), SqliteError> {
    let directory = files::directory(log_path);
    let check = |path: &Path, needed| access(path, needed).map_err(|why| SqliteError::io(path)(why.into()));
    check(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    let files = database_files(log_path)?;
    let mut there = files.iter().filter(|file| file.exists());
    there.try_for_each(|file| check(file, Access::READ_OK | Access::WRITE_OK))
}

/// Where the files of the log and of its views are, if they are there.
fn database_files(log_path: &Path) -> Result<Vec<PathBuf>, SqliteError> {
    let mut databases = vec![real_path(log_path)];
    if files::directory(log_path).is_dir() {
        databases.extend(files::numbers(log_path)?.into_iter().map(|number| files::path(log_path, number)));
    }
    let of_one =
        |database: PathBuf| ["", "-wal", "-shm", "-journal"].map(|suffix| companion(&database, suffix));
    Ok(databases.into_iter().flat_map(of_one).collect())
}

/// A file as long as it is locked. Others may read it by the same descriptor, which is closed when the last of them is gone.
struct LockedFile(Arc<File>);

impl LockedFile {
    fn take(options: &OpenOptions, path: &Path, log_path: &Path) -> Result<Self, SqliteError> {
        let file = options.open(path).map_err(SqliteError::io(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(Arc::new(file))),
            Err(TryLockError::WouldBlock) => Err(SqliteError::InUse(log_path.to_owned())),
            Err(TryLockError::Error(cause)) => Err(SqliteError::Io { path: path.to_owned(), cause }),
        }
    }
}

impl Drop for LockedFile {
    /// Closing the file is not enough: a process that was just begun has it as well, until it runs its own program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Tells a file from every other, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Of the file that a path leads to now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|file| Self::of(&file))
    }

    fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }
}

/// Creates a directory and those above it that are missing, and makes their names durable, where the system lets
/// directories be synced.
fn create_durably(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    for parent in directory.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if let Ok(parent) = File::open(parent) {
            let _ = parent.sync_all();
        }
    }
    Ok(())
}
