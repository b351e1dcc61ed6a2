//! The thread that writes the views behind the log.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sqlite::disk_space::{index_cannot_grow, is_exhausted};
use crate::sqlite::rebuild::Replacement;
use crate::sqlite::state::StoreState;
use crate::sqlite::store_thread::StoreThread;
use crate::sqlite::views::overlay::Generation;
use crate::sqlite::views::{Views, ViewsError, files};
use crate::sqlite_error::{OpenError, is_damage};

/// How long changes stay in memory only when there are few. It bounds what a crash leaves to catch up with.
const MAX_FLUSH_DELAY: Duration = Duration::from_secs(2);
/// How long to wait for space on a full disk before trying again.
const FULL_DISK_DELAY: Duration = Duration::from_secs(1);

/// The view writer's thread.
pub(crate) struct ViewWriter {
    signal: FlushSignal,
    thread: StoreThread,
}

/// Wakes the view writer.
#[derive(Clone)]
pub(crate) struct FlushSignal(Arc<FlushState>);

struct FlushState {
    wanted: Mutex<ViewWriterWork>,
    changed: Condvar,
}

#[derive(Default)]
struct ViewWriterWork {
    flush: bool,
    replacement: Option<Replacement>,
    finish: bool,
}

impl FlushSignal {
    /// Wakes the view writer when enough has changed for a batch.
    pub(crate) fn after_commit(&self, shared: &StoreState) {
        if shared.readers.overlay.active_bytes() >= shared.limits.view_batch_bytes {
            self.wanted().flush = true;
            self.0.changed.notify_one();
        }
    }

    /// Gives the view writer a file to go on with.
    pub(crate) fn replace(&self, replacement: Replacement) {
        self.wanted().replacement = Some(replacement);
        self.0.changed.notify_one();
    }

    fn has_replacement(&self) -> bool {
        self.wanted().replacement.is_some()
    }

    fn take_replacement(&self) -> Option<Replacement> {
        self.wanted().replacement.take()
    }

    fn wanted(&self) -> MutexGuard<'_, ViewWriterWork> {
        self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a batch, or for as long as changes may wait. `false` when it is time to finish.
    fn wait(&self, at_most: Duration) -> bool {
        let wanted = self.wanted();
        let waited = self
            .0
            .changed
            .wait_timeout_while(wanted, at_most, |w| !w.flush && !w.finish && w.replacement.is_none());
        let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wanted.flush = false;
        !wanted.finish
    }
}

impl ViewWriter {
    pub(crate) fn start(shared: Arc<StoreState>, log_path: &Path, views: Views) -> Result<Self, OpenError> {
        let state = FlushState { wanted: Mutex::default(), changed: Condvar::new() };
        let signal = FlushSignal(Arc::new(state));
        let thread = ViewWriterThread {
            shared,
            log_path: log_path.to_owned(),
            views,
            unwritten: None,
            signal: signal.clone(),
        };
        let thread = StoreThread::start("view-writer", log_path, move || thread.run())?;
        Ok(Self { signal, thread })
    }

    pub(crate) fn signal(&self) -> FlushSignal {
        self.signal.clone()
    }

    /// Writes everything, and ends.
    pub(crate) fn finish(&self) {
        self.signal.wanted().finish = true;
        self.signal.0.changed.notify_one();
        self.thread.join();
    }
}

struct ViewWriterThread {
    shared: Arc<StoreState>,
    log_path: PathBuf,
    views: Views,
    /// What the views could not take. It goes into those that are being made anew; readers find it in the overlay.
    unwritten: Option<Arc<Generation>>,
    signal: FlushSignal,
}

/// What became of a generation.
enum FlushOutcome {
    Yes,
    /// These views cannot take it; those that take their place will have it.
    NotThese,
    /// The store has stopped, or is about to end.
    Over,
}

impl ViewWriterThread {
    fn run(mut self) {
        while self.signal.wait(MAX_FLUSH_DELAY) {
            if let Some(replacement) = self.signal.take_replacement() {
                self.take_over(replacement);
            }
            if !self.flush() {
                return;
            }
        }
        self.flush();
    }

    /// Writes what has changed. `false` when that is over for good.
    fn flush(&mut self) -> bool {
        // Nothing more goes into these views: what they lack, and all that follows, waits for those that take their place.
        if self.unwritten.is_some() {
            return true;
        }
        let Some(generation) = self.shared.readers.overlay.begin_flush() else { return true };
        match self.write(&generation) {
            FlushOutcome::Yes => {
                self.shared.readers.overlay.end_flush();
                self.copy_wal()
            }
            FlushOutcome::NotThese => {
                self.unwritten = Some(generation);
                true
            }
            FlushOutcome::Over => false,
        }
    }

    fn write(&mut self, generation: &Generation) -> FlushOutcome {
        loop {
            match self.views.write(generation) {
                Ok(()) => return FlushOutcome::Yes,
                Err(ViewsError::Sqlite(error))
                    if is_exhausted(&error, self.views.path()) || index_cannot_grow(&error) =>
                {
                    tracing::warn!("no space left to write the views; trying again");
                    if !self.signal.wait(FULL_DISK_DELAY) {
                        // The log has everything: the next start catches up.
                        return FlushOutcome::Over;
                    }
                    if self.signal.has_replacement() {
                        // These go then, and with them what they take of the disk.
                        return FlushOutcome::NotThese;
                    }
                }
                Err(error) => match error.damage() {
                    Some(what) => {
                        self.shared.readers.rebuilds.damaged(self.views.number(), what);
                        return FlushOutcome::NotThese;
                    }
                    None => {
                        self.shared.health.stop(format!("writing the views: {error}"));
                        return FlushOutcome::Over;
                    }
                },
            }
        }
    }

    /// Goes on with views that were made anew. They are brought up to where these have come, or should have; from there on
    /// readers have the overlay.
    fn take_over(&mut self, replacement: Replacement) {
        let Replacement { views, .. } = &replacement;
        let (path, number) = (views.path().to_owned(), views.number());
        let unwritten = self.unwritten.as_ref().and_then(|generation| generation.last);
        let reached = unwritten.map_or(self.views.progress().position, |(position, _)| position);
        let up_to = reached.max(views.progress().position);
        match replacement.bring_up(&self.shared, &self.log_path, up_to) {
            Ok(Replacement { views, .. }) => {
                self.shared.readers.replace_views(&views);
                let earlier = std::mem::replace(&mut self.views, views);
                if self.unwritten.take().is_some() {
                    self.shared.readers.overlay.end_flush();
                }
                self.shared.readers.rebuilds.replaced(number);
                tracing::info!(path = %path.display(), "the views have been made anew");
                let earlier_path = earlier.path().to_owned();
                drop(earlier);
                // Whoever is still reading from it has it open; if it cannot go now, it goes at the next start.
                if let Err(error) = files::remove(&earlier_path) {
                    tracing::warn!(%error, "the earlier views could not be removed");
                }
            }
            Err(error) => {
                self.shared.readers.rebuilds.not_replaced(error.to_string());
                if let Err(error) = files::remove(&path) {
                    tracing::warn!(%error, "unfinished views could not be removed");
                }
            }
        }
    }

    /// Copies the write-ahead log into the file, so that the next generation starts it anew. A snapshot from before the flush
    /// would keep it from being copied, and one from before the copy from being started anew. `false` when the store has
    /// stopped.
    fn copy_wal(&self) -> bool {
        self.shared.readers.end_snapshots();
        match self.views.copy_wal() {
            Err(error) if is_exhausted(&error, self.views.path()) => {
                tracing::warn!("no space left to copy the views' write-ahead log");
            }
            Err(error) if is_damage(&error) => {
                self.shared.readers.rebuilds.damaged(self.views.number(), error.to_string());
            }
            Err(error) => {
                self.shared.health.stop(format!("copying the views' write-ahead log: {error}"));
                return false;
            }
            Ok(()) => {}
        }
        self.shared.readers.end_snapshots();
        true
    }
}
