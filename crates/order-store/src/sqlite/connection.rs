//! Opening files: the lock that keeps a second server off them, SQLite's settings, and what can go wrong.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use order_application::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::views::{ViewsError, files};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process; a store is one process's at a time, so stop that one first", path.display())]
    InUse {
        /// The store's log.
        path: PathBuf,
    },
    /// A later release wrote it.
    #[error("{} was written by a newer version (schema {found}, and this one knows up to {known})", path.display())]
    Newer {
        /// The store's log.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest schema version that this release knows.
        known: i64,
    },
    /// An earlier release wrote it, and whoever only reads does not change it.
    #[error(
        "{} was written by an earlier version (schema {found}, and this one needs {known}); start the server once",
        path.display()
    )]
    Older {
        /// The store's log.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The schema version of this release.
        known: i64,
    },
    /// It is some other file.
    #[error("{} is not an order store", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// `copy` has not finished.
    #[error(
        "{} is the target of an unfinished copy; run the same copy again, it goes on where it stopped",
        path.display()
    )]
    Copying {
        /// The store's log.
        path: PathBuf,
    },
    /// Its log is a copy of another's, and takes no commands.
    #[error("{} is a replica's; serve it with `order-service replica`", path.display())]
    Replica {
        /// The store's log.
        path: PathBuf,
    },
    /// It has a log of its own, and is no place for another's.
    #[error("{} is an order store with a log of its own, not a replica's; name another file for the replica", path.display())]
    NotAReplica {
        /// The store's log.
        path: PathBuf,
    },
    /// The directory or a file cannot be read or written.
    #[error("cannot use {}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// SQLite could not read or write a file.
    #[error("cannot use {}: {cause}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// It was to stop while it was being opened.
    #[error("the opening was stopped")]
    Stopped,
    /// What is stored is not what was written.
    #[error("{}: {what}; `order-service verify` tells all that is wrong", path.display())]
    Corrupt {
        /// The store's log.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

impl OpenError {
    pub(super) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |cause| match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAStore { path: path.to_owned() },
            _ => Self::Sqlite { path: path.to_owned(), cause },
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }

    pub(super) fn missing(path: &Path) -> Self {
        Self::io(path)(io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
    }

    /// A read's error: what is in the file may not be what was written.
    pub(super) fn damaged_or_failed(path: &Path, error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            return Self::Corrupt { path: path.to_owned(), what: error.to_string() };
        }
        Self::sqlite(path)(error)
    }

    /// Why views at a path could not be written.
    pub(super) fn views(path: &Path, error: ViewsError) -> Self {
        match error {
            ViewsError::Sqlite(error) => Self::damaged_or_failed(path, error),
            ViewsError::Damaged(what) => Self::Corrupt { path: path.to_owned(), what },
        }
    }

    /// Why a log or its views could not be read: because of what is in there, or for a reason that may pass.
    pub(super) fn read(path: &Path) -> impl Fn(StoreError) -> Self {
        move |error| match error {
            StoreError::Corrupt(what) | StoreError::DamagedView(what) | StoreError::NewerRelease(what) => {
                Self::Corrupt { path: path.to_owned(), what }
            }
            StoreError::Overloaded
            | StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::StorageFull => Self::Io { path: path.to_owned(), cause: io::Error::other(error) },
        }
    }
}

/// An exclusive lock on a file beside the log, let go by the system when the process ends, however it ends.
pub(super) struct DirectoryLock {
    file: File,
}

/// Where the lock of a log is: beside the file itself, whatever links lead to it.
pub(super) fn lock_path(log_path: &Path) -> PathBuf {
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
    pub(super) fn take_if_there(log_path: &Path) -> Result<Option<Self>, OpenError> {
        let there = lock_path(log_path).exists();
        there.then(|| Self::take(log_path)).transpose()
    }

    /// Creates the directory if need be and takes the lock.
    pub(super) fn take(log_path: &Path) -> Result<Self, OpenError> {
        let directory = files::directory(log_path);
        if !directory.is_dir() {
            create_durably(directory).map_err(OpenError::io(directory))?;
        }
        let path = lock_path(log_path);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(OpenError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: log_path.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(OpenError::Io { path, cause }),
        }
    }
}

/// Creates a directory and those above it that are missing, and makes their names durable, where the system lets
/// directories be synced.
fn create_durably(directory: &Path) -> io::Result<()> {
    let parent = match directory.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    if !parent.is_dir() {
        create_durably(parent)?;
    }
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !directory.is_dir() => {
            return Err(error);
        }
        Ok(()) | Err(_) => {}
    }
    if let Ok(parent) = File::open(parent) {
        let _ = parent.sync_all();
    }
    Ok(())
}

/// How a connection uses its file.
pub(super) struct Settings {
    /// SQLite's `synchronous`: `FULL` where a commit is an acknowledgement, `NORMAL` where the file can be rebuilt.
    pub(super) synchronous: &'static str,
    /// Most memory of the connection's page cache.
    pub(super) cache_kib: u32,
}

/// Opens a file for reading and writing, creating it if need be.
pub(super) fn open_writer(path: &Path, settings: &Settings) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_CREATE, settings.cache_kib)?;
    settings.apply(&connection)?;
    Ok(connection)
}

/// Like [`open_writer`], but asks `check` first whether the file is ours: until then, nothing is written to it.
pub(super) fn open_checked(
    path: &Path,
    settings: &Settings,
    check: impl FnOnce(&Connection) -> Result<(), OpenError>,
) -> Result<Connection, OpenError> {
    let failed = OpenError::sqlite(path);
    let connection = open(path, OpenFlags::SQLITE_OPEN_CREATE, settings.cache_kib).map_err(&failed)?;
    check(&connection)?;
    settings.apply(&connection).map_err(failed)?;
    Ok(connection)
}

impl Settings {
    fn apply(&self, connection: &Connection) -> rusqlite::Result<()> {
        // Checkpoints are made where they do not stand in a command's way.
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Only Apple's systems know it; their fsync alone leaves data in the drive's cache.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "synchronous", self.synchronous)
    }
}

/// Opens a file that is there for reading.
pub(super) fn open_reader(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::empty(), cache_kib)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens a file that another process may be writing to, only for reading and without making any other. `unchanging`: as a
/// file that nobody writes to, without a write-ahead log.
pub(super) fn open_from_outside(path: &Path, unchanging: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if unchanging {
        let uri = format!("file:{}?immutable=1", escaped(path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    set_up(&connection, OUTSIDE_CACHE_KIB)?;
    Ok(connection)
}

/// Whoever reads a log from its beginning to its end reads no page twice.
const OUTSIDE_CACHE_KIB: u32 = 1024;

/// A path within a URI. (<https://sqlite.org/uri.html>)
fn escaped(path: &Path) -> String {
    let mut escaped = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                escaped.push(char::from(*byte))
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn open(path: &Path, more: OpenFlags, cache_kib: u32) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection, cache_kib)?;
    Ok(connection)
}

fn set_up(connection: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // Otherwise every look-up of another key is planned anew, in case statistics would make another plan better for it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// A read's error, as readers see it.
pub(super) fn read_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether an error says that what is in the file is not what was written, and not that the file could not be read.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        // The statements are fixed, so an error in one is a schema that has been damaged.
        Some(
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::TooBig,
        ) => true,
        Some(_) => false,
        // A value that is of no type that was ever written; not one that was asked with, and that no row can have.
        None => !matches!(error, rusqlite::Error::ToSqlConversionFailure(_)),
    }
}
