//! A file of views: the index of orders, the rows of lists and the index of receipts. Derived from the log, so it may be
//! deleted at any time.
//!
//! What is read from it is checked, since an answer or a decision hangs on it: rows and progress carry checksums, the
//! indexes prove that an order or a key is not in them, rows of lists name the row before them, and positions of events are
//! held against the log. What does not add up is damage, and has the views rebuilt.

mod error;
pub(crate) mod files;
pub(crate) mod finding;
pub(crate) mod id_ranges;
pub(crate) mod known_keys;
pub(crate) mod known_orders;
pub(crate) mod overlay;
pub(crate) mod progress;
pub(crate) mod reading;
pub(crate) mod receipt_index;
mod receipt_writing;
pub(crate) mod schema;
pub(crate) mod terms;
mod writing;
pub(crate) mod zones;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use order_domain::OrderId;
use rusqlite::Connection;
use twox_hash::XxHash3_64;
use uuid::Uuid;

use crate::projection;
use crate::sqlite::connection::open_writer;
use crate::sqlite::store_lock::FILE_MODE;
use crate::sqlite::views::progress::{FileProgress, OF_SEVERAL};
use crate::sqlite::views::schema::{SCHEMA, SCHEMA_VERSION};
use crate::sqlite_error::SqliteError;

pub(crate) use error::ViewsError;
pub(crate) use writing::{PutOrder, ROWS_PER_COMMIT};

/// The writing end of a file of views.
pub(crate) struct Views {
    connection: Connection,
    path: PathBuf,
    number: u64,
    progress: FileProgress,
}

impl Views {
    /// Opens the file of a log with a number. What is in it may make it [useless](ViewsError::Useless).
    pub(crate) fn open(log_path: &Path, number: u64, log_identity: Uuid) -> Result<Self, ViewsError> {
        let path = files::path(log_path, number);
        let connection = open_for_serving(&path)?;
        let mut progress = FileProgress::load_usable(&connection, log_identity)?;
        if progress.projection > projection() {
            // From now on some of their rows are this release's. Both it and the later one, should it come back, have to know.
            progress.projection = OF_SEVERAL;
            progress.save(&connection)?;
        }
        Ok(Self { connection, path, number, progress })
    }

    /// Makes an empty file with a number, to be [finished](Self::finish) once everything is in it.
    pub(crate) fn create(
        log_path: &Path,
        number: u64,
        log_identity: Uuid,
        hash_seed: u64,
    ) -> Result<Self, SqliteError> {
        let path = files::path(log_path, number);
        files::remove(&path)?;
        // SQLite would let everybody read it, and makes its companions as the file is.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE).open(&path).map_err(SqliteError::io(&path))?;
        let create = || {
            let mut connection = open_for_building(&path)?;
            let projection = projection();
            let progress = FileProgress { log_identity, hash_seed, projection, ..FileProgress::default() };
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            progress.save(&transaction)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
            Ok(Self { connection, path: path.clone(), number, progress })
        };
        create().map_err(SqliteError::sqlite(&path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn progress(&self) -> &FileProgress {
        &self.progress
    }

    /// Whether another release made some of the rows.
    pub(crate) fn are_of_another_release(&self) -> bool {
        self.progress.projection != projection()
    }

    /// Says that the file is complete, once all of it is on the disk, and opens it for serving.
    pub(crate) fn finish(self) -> Result<Self, SqliteError> {
        let Self { connection, path, number, mut progress } = self;
        // Without a journal everything is in the file when its connection closes, or in the system's cache.
        connection.close().map_err(|(_, error)| SqliteError::sqlite(&path)(error))?;
        std::fs::File::open(&path).and_then(|file| file.sync_all()).map_err(SqliteError::io(&path))?;
        progress.complete = true;
        let finish = || {
            let connection = open_for_serving(&path)?;
            progress.save(&connection)?;
            // The one commit of this file that has to be durable in its turn.
            connection.query_row("PRAGMA wal_checkpoint(FULL)", (), |_| Ok(()))?;
            Ok(connection)
        };
        let connection = finish().map_err(SqliteError::sqlite(&path))?;
        Ok(Self { connection, path, number, progress })
    }

    /// Copies the write-ahead log into the file, so that it starts from its beginning again.
    pub(crate) fn copy_wal(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
    }

    pub(crate) fn hash(&self, order_id: &OrderId) -> i64 {
        hash_order_id(order_id, self.progress.hash_seed)
    }
}

/// For writing beside readers.
fn open_for_serving(path: &Path) -> rusqlite::Result<Connection> {
    open_writer(path, "normal", 12 * 1024)
}

/// For somebody who is alone with the file, without a way back: what comes of it is of no use unless it is finished. Each
/// table is written from its beginning to its end, so there is little to keep in memory.
fn open_for_building(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_writer(path, "off", 2 * 1024)?;
    connection.pragma_update(None, "journal_mode", "off")?;
    Ok(connection)
}

/// A seed that nobody can guess.
#[expect(clippy::disallowed_methods, reason = "that nobody can guess it is the point of it")]
pub(crate) fn new_hash_seed() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

/// The hash under which `order_ids` has an order.
pub(crate) fn hash_order_id(order_id: &OrderId, seed: u64) -> i64 {
    XxHash3_64::oneshot_with_seed(seed, order_id.as_str().as_bytes()).cast_signed()
}
