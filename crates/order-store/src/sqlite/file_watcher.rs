//! Compares the files that are open with what their paths lead to, and the log's with what it was. A file that was removed or
//! replaced under a running server takes with it all that is written to it from then on, and one that was written over has lost
//! what was acknowledged. SQLite notices neither.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::state::StoreState;
use crate::sqlite::store_lock::FileIdentity;
use crate::sqlite::threads::StoreThread;
use crate::sqlite_error::SqliteError;

/// Between two looks: about as much as is lost where a file goes.
const PERIOD: Duration = Duration::from_secs(1);

/// The thread that looks, until it is told to [stop](Self::stop).
pub(crate) struct FileWatcher {
    thread: StoreThread,
    stop: Mutex<Option<Sender<()>>>,
}

struct OpenFile {
    path: PathBuf,
    identity: FileIdentity,
}

impl FileWatcher {
    /// Watches the files that the log is written to. They are all there once it is open.
    /// `log`: the log's own file, which is open anyway.
    pub(crate) fn start(shared: Arc<StoreState>, log: Option<Arc<File>>) -> Result<Self, SqliteError> {
        let log_path = shared.log_path.clone();
        let mut files = Vec::new();
        for suffix in ["", "-wal", "-shm"] {
            let path = companion(&real_path(&log_path), suffix);
            let identity = FileIdentity::at(&path).map_err(SqliteError::io(&path))?;
            files.push(OpenFile { path, identity });
        }
        let extent = log.map(WatchedExtent::of).transpose().map_err(SqliteError::io(&log_path))?;
        let (stop, stopped) = channel();
        let looking = move || watch(&shared, &files, extent, &stopped);
        let thread = StoreThread::start("file-watcher", &log_path, looking)?;
        Ok(Self { thread, stop: Mutex::new(Some(stop)) })
    }

    pub(crate) fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.join();
    }
}

fn watch(shared: &StoreState, files: &[OpenFile], mut extent: Option<WatchedExtent>, stopped: &Receiver<()>) {
    let mut is_last_look = false;
    while !is_last_look {
        // What happened to the files since the last look is not to be made worse by closing them.
        is_last_look = stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout);
        let what = files.iter().find_map(OpenFile::parted).or_else(|| {
            let what = extent.as_mut()?.lost()?;
            Some(format!("{} {what} while it was in use", shared.log_path.display()))
        });
        if let Some(what) = what {
            shared.health.log_damage.found(what);
            return;
        }
    }
}

impl OpenFile {
    /// What has become of the file that is open, if its path does not lead to it any more.
    fn parted(&self) -> Option<String> {
        let path = self.path.display();
        match FileIdentity::at(&self.path) {
            Ok(identity) if identity == self.identity => None,
            Ok(_) => Some(format!("{path} was replaced by another file while it was in use")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("{path} was removed while it was in use"))
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
