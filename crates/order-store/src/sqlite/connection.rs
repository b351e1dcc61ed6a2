//! Opening SQLite's files, with the settings that each use of them needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

/// Opens a file for reading and writing, creating it if need be. `synchronous` is SQLite's setting: `full` where a commit is an
/// acknowledgement, `normal` where the file can be rebuilt; `cache_kib` is the most memory of its page cache.
pub(crate) fn open_writer(path: &Path, synchronous: &str, cache_kib: u32) -> rusqlite::Result<Connection> {
    let connection = open_unchanged(path, cache_kib)?;
    prepare_to_write(&connection, synchronous)?;
    Ok(connection)
}

/// Opens a file without a change to it, which [`prepare_to_write`] makes.
pub(crate) fn open_unchanged(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_CREATE, cache_kib)
}

pub(crate) fn prepare_to_write(connection: &Connection, synchronous: &str) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        // To change the mode is to change a few bytes within the first sector of the first page, which are written together. A
        // journal on the disk would be taken for somebody else's if the server is killed before it is gone.
        connection.pragma_update(None, "journal_mode", "memory")?;
    }
    // Copies of the write-ahead log are made where they do not stand in a command's way.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Only Apple's systems know it; their fsync alone leaves data in the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "synchronous", synchronous)
}

/// Opens a file that is there for reading.
pub(crate) fn open_reader(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::empty(), cache_kib)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Has a connection leave a file alone when it is closed. Otherwise the last one copies the write-ahead log into it, and deletes
/// that.
pub(crate) fn leave_alone_when_closed(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Opens a log that is in use for reading. Beside an empty file SQLite deletes the write-ahead log: a log that is in use is none,
/// unless somebody has cut it.
pub(crate) fn open_log_reader(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(malformed("the file became shorter while it was in use".to_owned()));
    }
    open_reader(path, cache_kib)
}

/// The error of a file that is not what was written, as SQLite has it for pages.
pub(crate) fn malformed(what: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(what))
}

/// Opens a file that another process may be writing to, only for reading and without making any other. `unchanging`: as a
/// file that nobody writes to, without a write-ahead log.
pub(crate) fn open_from_outside(path: &Path, unchanging: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if unchanging {
        let path = percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
        let uri = format!("file:{path}?immutable=1");
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    set_up(&connection, OUTSIDE_CACHE_KIB)?;
    Ok(connection)
}

/// Whether a file has a write-ahead log beside it.
pub(crate) fn has_write_ahead_log(path: &Path) -> bool {
    companion(&real_path(path), "-wal").exists()
}

/// Where a file is that a link may lead to: there SQLite keeps what it has beside it.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    let target = if path.is_symlink() { path.canonicalize().ok() } else { None };
    target.unwrap_or_else(|| path.to_owned())
}

/// The name of a file that SQLite keeps beside another.
pub(crate) fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whoever reads a log from its beginning to its end reads no page twice.
const OUTSIDE_CACHE_KIB: u32 = 1024;

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
    connection.set_prepared_statement_cache_capacity(48);
    Ok(())
}
