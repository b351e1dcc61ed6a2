//! Between the writer and whoever keeps the log's write-ahead log short.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes, about, in the write-ahead log that are worth a copy. Few, so that its file soon has its full length: while it
/// grows, each commit also writes the file system's journal.
const BYTES_PER_COPY: usize = 2 * 1024 * 1024;
/// What a commit adds beside its rows: the pages that it fills only in part.
const COMMIT_OVERHEAD_BYTES: usize = 8 * 1024;

#[derive(Default)]
pub(crate) struct WalSignal {
    work: Mutex<WalWork>,
    changed: Condvar,
    writer_must_finish: AtomicBool,
}

#[derive(Default)]
struct WalWork {
    uncopied_bytes: usize,
    finish: bool,
}

impl WalSignal {
    /// Counts what the writer has committed.
    pub(crate) fn after_commit(&self, bytes: usize) {
        let mut work = self.work();
        work.uncopied_bytes += bytes + COMMIT_OVERHEAD_BYTES;
        if work.uncopied_bytes >= BYTES_PER_COPY {
            drop(work);
            self.changed.notify_one();
        }
    }

    /// Waits for something to copy; `false` when it is time to end.
    pub(super) fn wait(&self) -> bool {
        let is_idle = |work: &mut WalWork| work.uncopied_bytes < BYTES_PER_COPY && !work.finish;
        let waited = self.changed.wait_while(self.work(), is_idle);
        let mut work = waited.unwrap_or_else(PoisonError::into_inner);
        work.uncopied_bytes = 0;
        !work.finish
    }

    /// Asks the writer to finish a checkpoint.
    pub(super) fn ask_writer(&self) {
        self.writer_must_finish.store(true, Ordering::Relaxed);
    }

    /// Whether the writer was asked, which takes the request.
    pub(super) fn must_finish(&self) -> bool {
        self.writer_must_finish.load(Ordering::Relaxed)
            && self.writer_must_finish.swap(false, Ordering::Relaxed)
    }

    /// Has the thread end.
    pub(crate) fn finish(&self) {
        self.work().finish = true;
        self.changed.notify_one();
    }

    fn work(&self) -> MutexGuard<'_, WalWork> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
