//! Keeps the log's write-ahead log short: a helper copies it into the log file while the writer goes on, and the writer
//! itself does the last bit between two commits when it has grown too long.
//!
//! SQLite starts the write-ahead log from its beginning only when all of it has been copied and nobody reads from it. Under
//! steady writes the helper alone never gets there; the writer, which is the only one that adds to it, does.

use std::sync::Arc;

use rusqlite::Connection;

use crate::sqlite::connection::{Settings, open_writer};
use crate::sqlite::disk_space::is_exhausted;
use crate::sqlite::state::StoreState;
use crate::sqlite::threads::StoreThread;
use crate::sqlite_error::OpenError;

/// Starts the thread, which ends with its [signal](super::wal_signal::WalSignal::finish).
pub(crate) fn start(shared: Arc<StoreState>) -> Result<StoreThread, OpenError> {
    let log_path = shared.log_path.clone();
    let settings = Settings { synchronous: "full", cache_kib: 64 };
    let connection = open_writer(&log_path, &settings).map_err(OpenError::sqlite(&log_path))?;
    StoreThread::start("wal-checkpointer", &log_path, move || run(&shared, &connection))
}

fn run(shared: &StoreState, connection: &Connection) {
    while shared.wal_signal.wait() {
        // Answers with (busy, pages in the write-ahead log, pages copied).
        let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get::<_, i64>(1));
        match pages {
            Ok(pages) if pages.cast_unsigned() >= shared.limits.wal_pages => shared.wal_signal.ask_writer(),
            Ok(_) => {}
            // Nothing is lost: the write-ahead log has it, and commits answer for the full disk.
            Err(error) if is_exhausted(&error, &shared.log_path) => {
                tracing::warn!("no space left to copy the write-ahead log");
            }
            Err(error) => shared.health.stop(format!("copying the write-ahead log into the log: {error}")),
        }
    }
}
