//! Keeps the log's write-ahead log short: a helper copies it into the log file while the writer goes on, and the writer
//! itself does the last bit between two commits when it has grown too long.
//!
//! SQLite starts the write-ahead log from its beginning only when all of it has been copied and nobody reads from it. Under
//! steady writes the helper alone never gets there; the writer, which is the only one that adds to it, does.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::sqlite::connection::{Settings, open_writer};
use crate::sqlite::disk_space::is_exhausted;
use crate::sqlite::state::StoreState;
use crate::sqlite::store_thread::StoreThread;
use crate::sqlite_error::OpenError;

/// Bytes, about, in the write-ahead log that are worth a copy. Few, so that its file soon has its full length: while it
/// grows, each commit also writes the file system's journal.
const BYTES_PER_COPY: usize = 2 * 1024 * 1024;
/// What a commit adds beside its rows: the pages that it fills only in part.
const COMMIT_OVERHEAD_BYTES: usize = 8 * 1024;

pub(crate) struct WalCheckpointer {
    signal: WalCheckpointSignal,
    thread: StoreThread,
}

/// Between the writer and the checkpointer.
#[derive(Clone)]
pub(crate) struct WalCheckpointSignal(Arc<WalSignalState>);

#[derive(Default)]
struct WalSignalState {
    work: Mutex<WalWork>,
    changed: Condvar,
    writer_must_finish: AtomicBool,
}

#[derive(Default)]
struct WalWork {
    uncopied_bytes: usize,
    finish: bool,
}

impl WalCheckpointSignal {
    /// Counts what the writer has committed.
    pub(crate) fn after_commit(&self, bytes: usize) {
        let mut work = self.work();
        work.uncopied_bytes += bytes + COMMIT_OVERHEAD_BYTES;
        if work.uncopied_bytes >= BYTES_PER_COPY {
            drop(work);
            self.0.changed.notify_one();
        }
    }

    /// Whether the writer is asked to finish a checkpoint. Asking takes the request.
    pub(crate) fn must_finish(&self) -> bool {
        self.0.writer_must_finish.load(Ordering::Relaxed)
            && self.0.writer_must_finish.swap(false, Ordering::Relaxed)
    }

    fn work(&self) -> MutexGuard<'_, WalWork> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to copy; `false` when it is time to end.
    fn wait(&self) -> bool {
        let waited = self
            .0
            .changed
            .wait_while(self.work(), |work| work.uncopied_bytes < BYTES_PER_COPY && !work.finish);
        let mut work = waited.unwrap_or_else(PoisonError::into_inner);
        work.uncopied_bytes = 0;
        !work.finish
    }
}

impl WalCheckpointer {
    pub(crate) fn start(shared: Arc<StoreState>, log_path: &Path) -> Result<Self, OpenError> {
        let settings = Settings { synchronous: "full", cache_kib: 64 };
        let connection = open_writer(log_path, &settings).map_err(OpenError::sqlite(log_path))?;
        let signal = WalCheckpointSignal(Arc::default());
        let thread_signal = signal.clone();
        let path = log_path.to_owned();
        let run = move || run(&shared, &connection, &path, &thread_signal);
        let thread = StoreThread::start("wal-checkpointer", log_path, run)?;
        Ok(Self { signal, thread })
    }

    pub(crate) fn signal(&self) -> WalCheckpointSignal {
        self.signal.clone()
    }

    pub(crate) fn finish(&self) {
        self.signal.work().finish = true;
        self.signal.0.changed.notify_one();
        self.thread.join();
    }
}

fn run(shared: &StoreState, connection: &Connection, log_path: &Path, signal: &WalCheckpointSignal) {
    while signal.wait() {
        // Answers with (busy, pages in the write-ahead log, pages copied).
        let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get::<_, i64>(1));
        match pages {
            Ok(pages) if pages.cast_unsigned() >= shared.limits.wal_pages => {
                signal.0.writer_must_finish.store(true, Ordering::Relaxed);
            }
            Ok(_) => {}
            // Nothing is lost: the write-ahead log has it, and commits answer for the full disk.
            Err(error) if is_exhausted(&error, log_path) => {
                tracing::warn!("no space left to copy the write-ahead log")
            }
            Err(error) => shared.health.stop(format!("checkpoint of the log: {error}")),
        }
    }
}
