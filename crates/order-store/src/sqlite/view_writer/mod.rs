//! The thread that writes the views behind the log.

pub(crate) mod work;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use order_application::RepeatedFault;

use crate::sqlite::disk_space::{index_cannot_grow, is_exhausted};
use crate::sqlite::log::receipts;
use crate::sqlite::rebuild::build::BuiltViews;
use crate::sqlite::state::StoreState;
use crate::sqlite::threads::StoreThread;
use crate::sqlite::view_writer::work::ViewWriterWork;
use crate::sqlite::views::overlay::Generation;
use crate::sqlite::views::{Views, ViewsError, files};
use crate::sqlite_error::{SqliteError, is_damage};

/// How long changes stay in memory only when there are few. It bounds what a crash leaves to catch up with.
const MAX_FLUSH_DELAY: Duration = Duration::from_secs(2);
/// How long to wait for space on a full disk before trying again.
const FULL_DISK_DELAY: Duration = Duration::from_secs(1);

/// Starts the thread, which ends when it is told to [finish](ViewWriterWork::Finish).
pub(crate) fn start(
    shared: Arc<StoreState>,
    work: Receiver<ViewWriterWork>,
    views: Views,
) -> Result<StoreThread, SqliteError> {
    let log_path = shared.log_path.clone();
    let thread = ViewWriterThread {
        shared,
        work,
        views,
        unwritten: None,
        put_off: None,
        is_finishing: false,
        no_space: RepeatedFault::default(),
    };
    StoreThread::start("view-writer", &log_path, move || thread.run())
}

struct ViewWriterThread {
    shared: Arc<StoreState>,
    work: Receiver<ViewWriterWork>,
    views: Views,
    /// What the views could not take. It goes into those that are being built; readers find it in the overlay.
    unwritten: Option<Arc<Generation>>,
    /// What came while a generation was being written, and comes next.
    put_off: Option<ViewWriterWork>,
    /// It has been told to finish, and writes for the last time.
    is_finishing: bool,
    no_space: RepeatedFault,
}

/// What became of a generation.
enum FlushOutcome {
    Written,
    /// These views cannot take it; those that take their place will have it.
    ViewsUnusable,
    /// The store has stopped, or is about to end.
    Stopped,
}

impl ViewWriterThread {
    fn run(mut self) {
        loop {
            match self.next_work(MAX_FLUSH_DELAY) {
                ViewWriterWork::Flush => {}
                ViewWriterWork::Replace(replacement, done) => {
                    // Whoever does not wait for it any more does not hear it.
                    let _ = done.send(self.take_over(*replacement));
                }
                ViewWriterWork::Finish => break,
            }
            if !self.flush() {
                return;
            }
        }
        self.is_finishing = true;
        self.flush();
    }

    /// Waits for work, or for as long as changes may wait.
    fn next_work(&mut self, at_most: Duration) -> ViewWriterWork {
        if let Some(work) = self.put_off.take() {
            return work;
        }
        match self.work.recv_timeout(at_most) {
            Ok(work) => work,
            Err(RecvTimeoutError::Timeout) => ViewWriterWork::Flush,
            Err(RecvTimeoutError::Disconnected) => ViewWriterWork::Finish,
        }
    }

    /// Writes what has changed. `false` when that is over for good.
    fn flush(&mut self) -> bool {
        // Nothing more goes into these views: what they lack, and all that follows, waits for those that take their place.
        if self.unwritten.is_some() {
            return true;
        }
        let Some(generation) = self.shared.readers.overlay.begin_flush() else { return true };
        match self.write(&generation) {
            FlushOutcome::Written => {
                self.shared.readers.overlay.end_flush();
                self.copy_wal()
            }
            FlushOutcome::ViewsUnusable => {
                self.unwritten = Some(generation);
                true
            }
            FlushOutcome::Stopped => false,
        }
    }

    fn write(&mut self, generation: &Generation) -> FlushOutcome {
        loop {
            match self.views.write(generation).and_then(|()| self.forget_receipts()) {
                Ok(()) => return FlushOutcome::Written,
                Err(ViewsError::Sqlite(error))
                    if is_exhausted(&error, self.views.path()) || index_cannot_grow(&error) =>
                {
                    // The log has everything: the next start catches up. Nothing will come that ends a wait for space.
                    if self.is_finishing {
                        return FlushOutcome::Stopped;
                    }
                    if self.no_space.is_news() {
                        tracing::warn!("no space left to write the views; it is tried again and again");
                    }
                    match self.next_work(FULL_DISK_DELAY) {
                        ViewWriterWork::Flush => {}
                        replace @ ViewWriterWork::Replace(..) => {
                            // These go then, and with them what they take of the disk.
                            self.put_off = Some(replace);
                            return FlushOutcome::ViewsUnusable;
                        }
                        ViewWriterWork::Finish => return FlushOutcome::Stopped,
                    }
                }
                Err(error) => match error.damage() {
                    Some(what) => {
                        self.shared.readers.rebuilds.damaged(self.views.number(), what);
                        return FlushOutcome::ViewsUnusable;
                    }
                    None => {
                        self.shared.health.stop(format!("writing the views: {error}"));
                        return FlushOutcome::Stopped;
                    }
                },
            }
        }
    }

    /// Has the views forget where receipts were that the log does not have any more.
    fn forget_receipts(&mut self) -> Result<(), ViewsError> {
        // If the log cannot be read just now, there is a next time.
        let oldest = self.shared.readers.log.with(|log| Ok(receipts::oldest(log)?));
        if let Ok(Some(oldest)) = oldest {
            self.views.forget_receipts_before(oldest)?;
            self.shared.known_keys.forget_before(self.views.progress().receipts.first_segment);
        }
        Ok(())
    }

    /// Goes on with views that were rebuilt. They are brought up to where these have come, or should have; from there on
    /// readers have the overlay.
    fn take_over(&mut self, replacement: BuiltViews) -> Result<(), SqliteError> {
        let StoreState { readers, limits, log_path, .. } = &*self.shared;
        let path = replacement.views.path().to_owned();
        let unwritten = self.unwritten.as_ref().and_then(|generation| generation.last);
        let reached = unwritten.map_or(self.views.progress().position, |(position, _)| position);
        let up_to = reached.max(replacement.views.progress().position);
        let mut progress = |done, _| readers.rebuilds.progress(done, self.shared.log_end().0);
        let brought_up = replacement.bring_up(log_path, limits, up_to, &mut progress);
        let BuiltViews { views, .. } = brought_up.inspect_err(|_| remove_useless(&path))?;
        // They have the same hash seed.
        readers.views.replace(views.number());
        let earlier = std::mem::replace(&mut self.views, views);
        if self.unwritten.take().is_some() {
            readers.overlay.end_flush();
        }
        let useless = earlier.path().to_owned();
        drop(earlier);
        remove_useless(&useless);
        // Not before the file is gone: whoever hears that the views are current again finds these alone.
        readers.rebuilds.replaced(self.views.number());
        tracing::info!(path = %path.display(), "the views have been rebuilt");
        Ok(())
    }

    /// Has the next generation start the write-ahead log anew. `false` when the store has stopped.
    fn copy_wal(&self) -> bool {
        let Err(error) = self.shared.readers.copy_wal(&self.views) else {
            if let Some(more) = self.no_space.over() {
                tracing::info!(more, "there is space again to write the views");
            }
            return true;
        };
        if is_exhausted(&error, self.views.path()) {
            if self.no_space.is_news() {
                tracing::warn!("no space left to copy the views' write-ahead log");
            }
        } else if is_damage(&error) {
            self.shared.readers.rebuilds.damaged(self.views.number(), error.to_string());
        } else {
            self.shared.health.stop(format!("copying the views' write-ahead log: {error}"));
            return false;
        }
        true
    }
}

/// Whoever is still reading from it has it open; if it cannot go now, it goes at the next start.
fn remove_useless(path: &Path) {
    if let Err(error) = files::remove(path) {
        tracing::warn!(%error, "views that are of no use any more could not be removed");
    }
}
