//! Where a log can be.

use std::io;
use std::path::Path;

use crate::sqlite_error::SqliteError;

/// Refuses a path that leads through a file, or to a directory, with the part of it that is in the way: what the system says
/// of it (`File exists`, `Not a directory`) names neither.
pub(crate) fn check(path: &Path) -> Result<(), SqliteError> {
    if path.is_dir() {
        return Err(in_the_way(path, "it is a directory, and a file is wanted"));
    }
    if path.extension().is_some_and(|extension| extension == "lock") {
        return Err(in_the_way(
            path,
            "this is the name of a store's lock, and another is wanted, such as orders.db",
        ));
    }
    if is_mounted_alone(path) {
        let what = "it is mounted alone, and its write-ahead log and views would stay behind: mount its directory instead";
        return Err(in_the_way(path, what));
    }
    match path.ancestors().skip(1).find(|above| above.exists()) {
        Some(above) if !above.is_dir() => Err(in_the_way(above, "it is a file, and a directory is wanted")),
        Some(_) | None => Ok(()),
    }
}

/// Refuses what has the name of one of a store's files and is none: whoever opens a pipe waits for its other end.
pub(crate) fn check_kind(path: &Path) -> Result<(), SqliteError> {
    match std::fs::metadata(path) {
        Ok(file) if !file.is_file() => Err(in_the_way(path, "it is no regular file, and one is wanted")),
        // Whoever opens it says what is wrong.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether a file was brought here by a mount of its own, as containers do it. The numbers of file systems do not tell: on overlays
/// a file has another than its directory without any mount.
#[cfg(target_os = "linux")]
fn is_mounted_alone(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    found.is_ok_and(|file| file.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Other systems mount no single files.
#[cfg(not(target_os = "linux"))]
fn is_mounted_alone(_path: &Path) -> bool {
    false
}

fn in_the_way(path: &Path, what: &str) -> SqliteError {
    SqliteError::io(path)(io::Error::other(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_through_a_file_or_to_a_directory_is_refused_with_what_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let (here, file) = (directory.path(), directory.path().join("file"));
        std::fs::write(&file, "").unwrap();
        for fine in [file.clone(), here.join("new.db"), here.join("new/more/orders.db"), "orders.db".into()] {
            assert!(check(&fine).is_ok(), "{}", fine.display());
        }
        let told = |path: &Path| check(path).unwrap_err().to_string();
        let is_file = format!("cannot use {}: it is a file, and a directory is wanted", file.display());
        assert_eq!(told(&file.join("orders.db")), is_file);
        assert_eq!(told(&file.join("more/orders.db")), is_file);
        assert!(told(&here.join("orders.lock")).ends_with("another is wanted, such as orders.db"));
        let is_directory = format!("cannot use {}: it is a directory, and a file is wanted", here.display());
        assert_eq!(told(here), is_directory);
    }
}
