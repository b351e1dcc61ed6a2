//! Compares the files that are open with what their paths lead to, and with what they had. A file that was removed or
//! replaced under a running server takes with it all that is written to it from then on, and one that was written over has lost
//! what was acknowledged. SQLite notices neither, and copies the one over the other in the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::store_lock::FileIdentity;
use crate::sqlite::watched_wal::WatchedWal;
use crate::sqlite_error::SqliteError;

/// The files that the log is written to.
pub(crate) struct WatchedFiles(Mutex<Option<OpenFiles>>);

struct OpenFiles {
    log_path: PathBuf,
    files: Vec<OpenFile>,
    extent: Option<WatchedExtent>,
    wal: WatchedWal,
}

struct OpenFile {
    path: PathBuf,
    identity: FileIdentity,
    /// What to do when no path leads to it any more.
    advice: &'static str,
}

impl WatchedFiles {
    /// Those of a log that has been read from: then they are all there.
    /// `log`: the log's own file, which is open anyway.
    pub(crate) fn of(log_path: &Path, log: Option<Arc<File>>) -> Result<Self, SqliteError> {
        let real_path = real_path(log_path);
        let mut files = Vec::new();
        for (suffix, advice) in [("", SAVE_IT), ("-wal", SAVE_IT), ("-shm", IS_MADE_ANEW)] {
            let path = companion(&real_path, suffix);
            let identity = FileIdentity::at(&path).map_err(SqliteError::io(&path))?;
            files.push(OpenFile { path, identity, advice });
        }
        let failed = SqliteError::io(log_path);
        let extent = log.map(WatchedExtent::of).transpose().map_err(&failed)?;
        let wal = WatchedWal::of(&real_path).map_err(failed)?;
        Ok(Self(Mutex::new(Some(OpenFiles { log_path: log_path.to_owned(), files, extent, wal }))))
    }

    /// What has become of one of them, if it is not what it was and more.
    pub(crate) fn lost(&self) -> Option<String> {
        self.open_files().as_mut()?.lost()
    }

    /// Closes them, and looks no more. Not before SQLite has: its locks go with any descriptor of a file.
    pub(crate) fn close(&self) {
        self.open_files().take();
    }

    fn open_files(&self) -> MutexGuard<'_, Option<OpenFiles>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenFiles {
    fn lost(&mut self) -> Option<String> {
        if let Some(what) = self.files.iter().find_map(OpenFile::parted) {
            return Some(what);
        }
        let of_log = self.extent.as_mut().and_then(|extent| Some((extent.lost()?, self.log_path.clone())));
        let of_wal = || Some((self.wal.lost()?, companion(&real_path(&self.log_path), "-wal")));
        let (what, path) = of_log.or_else(of_wal)?;
        Some(format!("{} {what} while it was in use", path.display()))
    }
}

/// What to do about a file to which no path leads, and that has events.
const SAVE_IT: &str =
    ": only this process still has it, so save it before the process ends (docs/OPERATIONS.md, SQLite)";
/// The index of the write-ahead log has nothing that is not in that.
const IS_MADE_ANEW: &str = "; it has no events, and is made anew at the next start";

impl OpenFile {
    /// What has become of the file that is open, if its path does not lead to it any more.
    fn parted(&self) -> Option<String> {
        let (path, advice) = (self.path.display(), self.advice);
        match FileIdentity::at(&self.path) {
            Ok(identity) if identity == self.identity => None,
            Ok(_) => Some(format!("{path} was replaced by another file while it was in use{advice}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("{path} was removed while it was in use{advice}"))
            }
            // It may pass.
            Err(_) => None,
        }
    }
}

/// The log's file, and how far it went at the last look. A log only grows: whatever SQLite copies into its file, the file has as
/// many bytes as before or more, and counts as many pages and changes.
struct WatchedExtent {
    log: Arc<File>,
    last: Extent,
}

#[derive(Clone, Copy)]
struct Extent {
    bytes: u64,
    /// As the file's header counts them.
    pages: u32,
    /// Of the file's header, and so of the number of its pages.
    changes: u32,
}

impl WatchedExtent {
    fn of(log: Arc<File>) -> io::Result<Self> {
        Ok(Self { last: Extent::of(&log)?, log })
    }

    /// What has become of the file, if it is not what it was and more.
    fn lost(&mut self) -> Option<&'static str> {
        let (before, now) = (self.last, Extent::of(&self.log));
        match now {
            Ok(now) if now.bytes < before.bytes => Some("became shorter"),
            Ok(now) if now.pages < before.pages || now.changes < before.changes => {
                Some("was written over by an earlier one")
            }
            Ok(now) => {
                self.last = now;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some("became shorter"),
            // It may pass.
            Err(_) => None,
        }
    }
}

impl Extent {
    /// As <https://sqlite.org/fileformat2.html#the_database_header> has it.
    fn of(log: &File) -> io::Result<Self> {
        let mut counts = [0; 8];
        log.read_exact_at(&mut counts, 24)?;
        let [changes, pages] =
            [0, 4].map(|at| u32::from_be_bytes([counts[at], counts[at + 1], counts[at + 2], counts[at + 3]]));
        Ok(Self { bytes: log.metadata()?.len(), pages, changes })
    }
}
