//! No space left, told from every other write that fails: it is survived, and they are not.

use std::io::ErrorKind;
use std::path::Path;

use order_application::figures::DiskFigures;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};

const PROBE_BYTES: usize = 8 * 1024;

/// Whether a write to `file` failed because its disk is full or a quota is exhausted.
pub(crate) fn is_exhausted(error: &rusqlite::Error, file: &Path) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        // SQLite does not tell an exhausted quota from other failed writes. A write of our own does.
        || extended_code(error) == Some(SQLITE_IOERR_WRITE) && probe_finds_no_space(file)
}

/// How much space there is beside a file; `None` where the system does not say.
pub(crate) fn space_beside(file: &Path) -> Option<DiskFigures> {
    let disk = rustix::fs::statvfs(file).ok()?;
    Some(DiskFigures { free_bytes: disk.f_bavail * disk.f_frsize, bytes: disk.f_blocks * disk.f_frsize })
}

/// Whether the write-ahead log's index could not grow, most likely for want of space. It is memory that is built anew at
/// every start, so nothing is lost by it. But the rows are in the write-ahead log by then: the next commit goes over
/// them, and after a crash before that they are found.
pub(crate) fn index_cannot_grow(error: &rusqlite::Error) -> bool {
    extended_code(error) == Some(SQLITE_IOERR_SHMSIZE)
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

fn probe_finds_no_space(file: &Path) -> bool {
    let probe = file.with_extension("probe");
    let outcome = std::fs::write(&probe, [0; PROBE_BYTES]);
    let _ = std::fs::remove_file(&probe);
    outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}
