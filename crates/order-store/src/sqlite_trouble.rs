//! What SQLite has against a file, in words for whoever starts the service: SQLite's own name neither the file that is meant nor
//! what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rustix::fs::{Access, access, statvfs};

use crate::sqlite::{companion, directory, is_of_views};

/// With less room than this SQLite's files cannot grow, in bytes.
const NO_ROOM: u64 = 64 * 1024;

/// Why a file cannot be used, and what to do.
pub(crate) fn told(path: &Path, cause: &rusqlite::Error) -> String {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("cannot use {}: {cause}; {}", path.display(), way_out(path))
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            no_access(path, cause)
        }
        // On a small disk what SQLite has taken back leaves room again, and yet not enough.
        Some(ErrorCode::DiskFull) => disk_full(path, cause),
        Some(ErrorCode::SystemIoFailure) if is_full(directory(path)) => disk_full(path, cause),
        Some(_) | None => format!("cannot use {}: {cause}", path.display()),
    }
}

fn disk_full(path: &Path, cause: &rusqlite::Error) -> String {
    format!("cannot use {}: its disk is full ({cause}); make room, and start again", path.display())
}

/// What to say of a file that is no store.
pub(crate) fn no_store(path: &Path) -> String {
    if is_of_views(path) {
        return format!("{} has no views, or damaged ones; {}", path.display(), way_out(path));
    }
    let restore = "if it was one, restore a backup (docs/OPERATIONS.md, Restore)";
    format!("{} is not an order store; {restore}", path.display())
}

/// What to do about a damaged file.
fn way_out(path: &Path) -> &'static str {
    if is_of_views(path) {
        "remove this file: views are made anew from the log"
    } else {
        "`order-service verify` tells what is damaged, and docs/OPERATIONS.md (When verify finds faults) what to do"
    }
}

/// Which file or directory it is that may not be used.
fn no_access(path: &Path, cause: &rusqlite::Error) -> String {
    let there =
        ["", "-wal", "-shm"].map(|suffix| companion(path, suffix)).into_iter().filter(|file| file.exists());
    let needed = there.chain([directory(path).to_owned()]);
    let refused = |file: PathBuf| {
        let why = access(&file, Access::READ_OK | Access::WRITE_OK).err()?;
        Some(format!("cannot use {}: {}", file.display(), std::io::Error::from(why)))
    };
    let told = needed.filter_map(refused).next();
    // SQLite repeats the name.
    let said = cause.to_string().replace(&format!(": {}", path.display()), "");
    told.map_or_else(|| format!("cannot use {}: {said}", path.display()), |told| format!("{told}{MUST_OWN}"))
}

const MUST_OWN: &str = "; who runs the service must own it, and be able to write it";

/// What to do about a file of another user, if that is the cause.
pub(crate) fn owner_hint(cause: &std::io::Error) -> &'static str {
    if cause.kind() == std::io::ErrorKind::PermissionDenied { MUST_OWN } else { "" }
}

fn is_full(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < NO_ROOM)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn damage_is_told_with_the_way_out_for_the_log_and_for_views() {
        let log = told(Path::new("data/orders.db"), &failure(ffi::SQLITE_CORRUPT));
        assert!(
            log.starts_with("cannot use data/orders.db: ") && log.contains("`order-service verify`"),
            "{log}"
        );
        let views = told(Path::new("data/orders.views.3.db"), &failure(ffi::SQLITE_CORRUPT));
        assert!(views.ends_with("remove this file: views are made anew from the log"), "{views}");
        let views = no_store(Path::new("data/orders.views.3.db"));
        assert!(views.contains("has no views, or damaged ones; remove this file"), "{views}");
        let log = no_store(Path::new("data/orders.db"));
        assert_eq!(
            log,
            "data/orders.db is not an order store; if it was one, restore a backup (docs/OPERATIONS.md, Restore)"
        );
    }

    #[test]
    fn a_full_disk_is_told_as_one_and_an_error_of_the_disk_as_that() {
        // Where nobody has a file system, nothing can be said of its room.
        let error = told(Path::new("nowhere/orders.db"), &failure(ffi::SQLITE_IOERR));
        assert!(error.contains("disk I/O error") && !error.contains("make room"), "{error}");
        // What was taken back has left room here.
        let directory = tempfile::tempdir().unwrap();
        let error = told(&directory.path().join("orders.db"), &failure(ffi::SQLITE_FULL));
        assert!(
            error.contains("its disk is full (") && error.ends_with("make room, and start again"),
            "{error}"
        );
    }

    #[test]
    fn what_may_not_be_used_is_named_once_with_what_the_system_says() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("gone");
        let error = told(&missing.join("orders.db"), &failure(ffi::SQLITE_CANTOPEN));
        let named = format!("cannot use {}: No such file or directory", missing.display());
        assert!(error.starts_with(&named) && error.contains("must own it"), "{error}");
        let here = directory.path().join("orders.db");
        let said = format!("unable to open database file: {}", here.display());
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(said));
        let named_once = format!("cannot use {}: unable to open database file", here.display());
        assert_eq!(told(&here, &error), named_once);
    }
}
