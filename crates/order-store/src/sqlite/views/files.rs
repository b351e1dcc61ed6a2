//! The files of views: numbered, so that one can be built while another is served.
//!
//! `orders.db` has its views in `orders.views.1.db`, `orders.views.2.db`, …. The highest that says that it is complete
//! counts. An open database is never renamed or written over: whoever builds views takes the next number.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::sqlite::connection::companion;
use crate::sqlite_error::SqliteError;

/// The views of a log with a number.
pub(crate) fn path(log_path: &Path, number: u64) -> PathBuf {
    log_path.with_extension(format!("views.{number}.db"))
}

/// Whether a file is one of views, of whichever log.
pub(crate) fn is_of_views(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.contains(".views."))
}

pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// The numbers of all that there are, the highest first.
pub(crate) fn numbers(log_path: &Path) -> Result<Vec<u64>, SqliteError> {
    let directory = directory(log_path);
    let list = || -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            numbers.extend(number(log_path, &entry?.file_name()));
        }
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    };
    list().map_err(SqliteError::io(directory))
}

/// For views that are built now: above all that there are.
pub(crate) fn next_number(log_path: &Path, highest: Option<u64>) -> Result<u64, SqliteError> {
    let highest = highest.unwrap_or_default();
    highest.checked_add(1).ok_or_else(|| {
        SqliteError::io(&path(log_path, highest))(io::Error::other(
            "no higher number is left; remove this file",
        ))
    })
}

fn number(log_path: &Path, file_name: &OsStr) -> Option<u64> {
    let number = file_name.to_str()?.strip_suffix(".db")?.rsplit_once(".views.")?.1.parse().ok()?;
    // Of several logs in one directory each has its own.
    (path(log_path, number).file_name() == Some(file_name)).then_some(number)
}

/// Removes a file of views with its companions, if they are there.
pub(crate) fn remove(path: &Path) -> Result<(), SqliteError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let file = companion(path, suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SqliteError::io(&file)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_logs_and_other_kinds_are_none_of_ours() {
        let log = Path::new("/data/orders.db");
        let number = |name: &str| number(log, OsStr::new(name));
        assert_eq!(path(log, 7), Path::new("/data/orders.views.7.db"));
        assert_eq!(number("orders.views.7.db"), Some(7));
        for other in [
            "orders.db",
            "orders.views.db",
            "orders.views.7.db-wal",
            "orders.views.x.db",
            "orders.views.07.db",
            "more.views.7.db",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
