//! Compares the files that are open with what their paths lead to. A file that was removed or replaced under a running server
//! takes with it all that is written to it from then on, and SQLite does not notice.

use std::io;
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
    pub(crate) fn start(shared: Arc<StoreState>) -> Result<Self, SqliteError> {
        let log_path = shared.log_path.clone();
        let mut files = Vec::new();
        for suffix in ["", "-wal", "-shm"] {
            let path = companion(&real_path(&log_path), suffix);
            let identity = FileIdentity::at(&path).map_err(SqliteError::io(&path))?;
            files.push(OpenFile { path, identity });
        }
        let (stop, stopped) = channel();
        let thread = StoreThread::start("file-watcher", &log_path, move || watch(&shared, &files, &stopped))?;
        Ok(Self { thread, stop: Mutex::new(Some(stop)) })
    }

    pub(crate) fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.join();
    }
}

fn watch(shared: &StoreState, files: &[OpenFile], stopped: &Receiver<()>) {
    while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        if let Some(what) = files.iter().find_map(OpenFile::parted) {
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
