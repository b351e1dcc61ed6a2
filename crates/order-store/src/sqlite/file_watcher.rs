//! Looks at the files of an open store once a second: see [`WatchedFiles`](crate::sqlite::watched_files::WatchedFiles).

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::sqlite::state::StoreState;
use crate::sqlite::threads::StoreThread;
use crate::sqlite_error::SqliteError;

/// Between two looks: about as much as is lost where a file goes.
const PERIOD: Duration = Duration::from_secs(1);

/// The thread that looks, until it is told to [stop](Self::stop).
pub(crate) struct FileWatcher {
    thread: StoreThread,
    stop: Mutex<Option<Sender<()>>>,
}

impl FileWatcher {
    pub(crate) fn start(shared: Arc<StoreState>) -> Result<Self, SqliteError> {
        let log_path = shared.log_path.clone();
        let (stop, stopped) = channel();
        let thread = StoreThread::start("file-watcher", &log_path, move || watch(&shared, &stopped))?;
        Ok(Self { thread, stop: Mutex::new(Some(stop)) })
    }

    /// Looks once more. What happened to the files since the last look is not to be made worse by closing them.
    pub(crate) fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.join();
    }
}

fn watch(shared: &StoreState, stopped: &Receiver<()>) {
    let mut is_last_look = false;
    while !is_last_look {
        is_last_look = stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout);
        if !shared.has_sound_files() {
            return;
        }
    }
}
