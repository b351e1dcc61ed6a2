//! The thread that writes the views behind the log.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Shared;
use super::connection::OpenError;
use super::overlay::FlushCount;
use super::space::{index_cannot_grow, is_exhausted};
use super::views::{Views, ViewsError};

/// How long changes stay in memory only when there are few. It bounds what a crash leaves to catch up with.
const MAX_FLUSH_DELAY: Duration = Duration::from_secs(2);
/// How long to wait for space on a full disk before trying again.
const FULL_DISK_DELAY: Duration = Duration::from_secs(1);

/// The view writer's thread.
pub(super) struct ViewWriter {
    signal: FlushSignal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Wakes the view writer.
#[derive(Clone)]
pub(super) struct FlushSignal(Arc<SignalState>);

struct SignalState {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    flush: bool,
    finish: bool,
}

impl FlushSignal {
    /// Wakes the view writer when enough has changed for a batch.
    pub(super) fn after_commit(&self, shared: &Shared) {
        if shared.overlay.active_bytes() >= shared.limits.view_batch_bytes {
            self.wanted().flush = true;
            self.0.changed.notify_one();
        }
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a batch, or for as long as changes may wait. `false` when it is time to finish.
    fn wait(&self, at_most: Duration) -> bool {
        let wanted = self.wanted();
        let waited = self.0.changed.wait_timeout_while(wanted, at_most, |w| !w.flush && !w.finish);
        let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wanted.flush = false;
        !wanted.finish
    }
}

impl ViewWriter {
    pub(super) fn start(shared: Arc<Shared>, views: Views) -> Result<Self, OpenError> {
        let state = SignalState { wanted: Mutex::default(), changed: Condvar::new() };
        let signal = FlushSignal(Arc::new(state));
        let path = views.path().to_owned();
        let thread = ViewWriterThread { shared, views, signal: signal.clone() };
        let handle = std::thread::Builder::new().name("view-writer".to_owned()).spawn(move || thread.run());
        let handle = handle.map_err(OpenError::io(&path))?;
        Ok(Self { signal, thread: Mutex::new(Some(handle)) })
    }

    pub(super) fn signal(&self) -> FlushSignal {
        self.signal.clone()
    }

    /// Writes everything, and ends.
    pub(super) fn finish(&self) {
        self.signal.wanted().finish = true;
        self.signal.0.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

struct ViewWriterThread {
    shared: Arc<Shared>,
    views: Views,
    signal: FlushSignal,
}

impl ViewWriterThread {
    fn run(mut self) {
        while self.signal.wait(MAX_FLUSH_DELAY) {
            if !self.flush() {
                return;
            }
        }
        self.flush();
    }

    /// Writes what has changed. `false` when that is over for good.
    fn flush(&mut self) -> bool {
        let Some(generation) = self.shared.overlay.begin_flush() else { return true };
        loop {
            match self.views.write(&generation) {
                Ok(()) => break,
                Err(ViewsError::Sqlite(error))
                    if is_exhausted(&error, self.views.path()) || index_cannot_grow(&error) =>
                {
                    tracing::warn!("no space left to write the views; trying again");
                    if !self.signal.wait(FULL_DISK_DELAY) {
                        // The log has everything: the next start catches up.
                        return false;
                    }
                }
                Err(error) => {
                    self.shared.health.stop(format!("writing the views: {error}"));
                    return false;
                }
            }
        }
        let flushed = self.shared.overlay.end_flush();
        if let Err(error) = self.checkpoint(flushed) {
            self.shared.health.stop(format!("checkpoint of the views: {error}"));
            return false;
        }
        true
    }

    /// Copies the write-ahead log into the file, so that the next generation starts it anew. A snapshot from before the flush
    /// would keep it from being copied, and one from before the copy from being started anew.
    fn checkpoint(&self, flushed: FlushCount) -> Result<(), String> {
        let end_snapshots =
            |before| self.shared.readers.end_snapshots_before(before).map_err(|e| e.to_string());
        end_snapshots(flushed)?;
        match self.views.checkpoint() {
            Err(error) if is_exhausted(&error, self.views.path()) => {
                tracing::warn!("no space left to copy the views' write-ahead log");
            }
            Err(error) => return Err(error.to_string()),
            Ok(()) => {}
        }
        end_snapshots(self.shared.overlay.renew_snapshots())
    }
}
