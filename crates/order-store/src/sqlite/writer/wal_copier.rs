//! Keeps the log's write-ahead log short: a helper copies it into the log file while the writer goes on, and the writer
//! itself does the last bit between two commits when it has grown too long.
//!
//! SQLite starts the write-ahead log from its beginning only when all of it has been copied and nobody reads from it. Under
//! steady writes the helper alone never gets there; the writer, which is the only one that adds to it, does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use order_application::RepeatedFault;
use rusqlite::Connection;

use crate::sqlite::connection::open_writer;
use crate::sqlite::disk_space::is_exhausted;
use crate::sqlite::state::{LogConnection, StoreState};
use crate::sqlite::threads::StoreThread;
use crate::sqlite_error::SqliteError;

/// Bytes, about, in the write-ahead log that are worth a copy. Few, so that its file soon has its full length: while it
/// grows, each commit also writes the file system's journal.
const BYTES_PER_COPY: usize = 2 * 1024 * 1024;
/// What a commit adds beside its rows: the pages that it fills only in part.
const COMMIT_OVERHEAD_BYTES: usize = 8 * 1024;

/// The writer's end of the helper's thread, which ends when this is dropped.
pub(super) struct WalCopier {
    uncopied_bytes: usize,
    work: SyncSender<()>,
    /// Whether the write-ahead log is too long for the helper alone.
    is_too_long: Arc<AtomicBool>,
}

impl WalCopier {
    pub(super) fn start(shared: Arc<StoreState>) -> Result<(Self, StoreThread), SqliteError> {
        let log_path = shared.log_path.clone();
        let connection = open_writer(&log_path, "full", 64).map_err(SqliteError::sqlite(&log_path))?;
        let connection = LogConnection::new(connection, &shared.health.log_damage);
        let (work, copies) = sync_channel(1);
        let is_too_long = Arc::new(AtomicBool::new(false));
        let copier = Self { uncopied_bytes: 0, work, is_too_long: Arc::clone(&is_too_long) };
        let run = move || copy(&shared, &connection, &copies, &is_too_long);
        Ok((copier, StoreThread::start("wal-copier", &log_path, run)?))
    }

    /// Counts what the writer has committed.
    pub(super) fn after_commit(&mut self, bytes: usize) {
        self.uncopied_bytes += bytes + COMMIT_OVERHEAD_BYTES;
        if self.uncopied_bytes >= BYTES_PER_COPY && self.work.try_send(()).is_ok() {
            self.uncopied_bytes = 0;
        }
    }

    /// Whether the writer is to do the last bit, which it then does.
    pub(super) fn take_too_long(&self) -> bool {
        self.is_too_long.load(Ordering::Relaxed) && self.is_too_long.swap(false, Ordering::Relaxed)
    }
}

fn copy(shared: &StoreState, connection: &Connection, copies: &Receiver<()>, is_too_long: &AtomicBool) {
    let no_space = RepeatedFault::default();
    while copies.recv().is_ok() && shared.has_sound_files() {
        // Answers with (busy, pages in the write-ahead log, pages copied).
        let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get::<_, i64>(1));
        if let (Ok(_), Some(more)) = (&pages, no_space.over()) {
            tracing::info!(more, "there is space again to copy the write-ahead log");
        }
        match pages {
            Ok(pages) if pages.cast_unsigned() >= shared.limits.wal_pages => {
                is_too_long.store(true, Ordering::Relaxed);
            }
            Ok(_) => {}
            // Nothing is lost: the write-ahead log has it, and commits answer for the full disk.
            Err(error) if is_exhausted(&error, &shared.log_path) => {
                if no_space.is_news() {
                    tracing::warn!("no space left to copy the write-ahead log");
                }
            }
            Err(error) => shared.health.stop(format!("copying the write-ahead log into the log: {error}")),
        }
    }
}
