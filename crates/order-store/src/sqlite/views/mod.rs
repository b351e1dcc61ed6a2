//! A file of views: the index of orders and the rows of lists. Derived from the log, so it may be deleted at any time.
//!
//! What is read from it is checked, since an answer or a decision hangs on it: rows and progress carry checksums, the index
//! proves that an order is not in it, rows of lists name the row before them, and positions of events are held against the
//! log. What does not add up is damage, and has the views made anew.

mod error;
pub(crate) mod files;
pub(crate) mod id_ranges;
pub(crate) mod known_orders;
pub(crate) mod overlay;
pub(crate) mod progress;
pub(crate) mod reading;
pub(crate) mod schema;

use std::path::{Path, PathBuf};

use order_application::{OrderView, Position, Version};
use order_domain::{OrderId, Timestamp};
use rusqlite::{CachedStatement, Connection, params};
use twox_hash::XxHash3_64;
use uuid::Uuid;

use crate::projection;
use crate::sqlite::connection::{Settings, open_writer};
use crate::sqlite::views::id_ranges::{IdEntry, RangeWriter};
use crate::sqlite::views::overlay::{Change, Generation, OrderKey};
use crate::sqlite::views::progress::{FileProgress, OF_SEVERAL};
use crate::sqlite::views::schema::{SCHEMA, SCHEMA_VERSION};
use crate::sqlite_error::OpenError;
use crate::view_row::ViewRow;

pub(crate) use error::ViewsError;

const INSERT_ID: &str = "INSERT OR IGNORE INTO order_ids (hash, key) VALUES (?1, ?2)";

/// After a crash a row may be there already, ahead of `progress`, by events that are all met again before the store opens.
const INSERT_ORDER: &str =
    "INSERT INTO orders
        (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, checksum, previous_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (key) DO UPDATE SET
        state = excluded.state, version = excluded.version, customer_id = excluded.customer_id,
        status = excluded.status, total_cents = excluded.total_cents, placed_at = excluded.placed_at,
        updated_at = excluded.updated_at, checksum = excluded.checksum
    WHERE order_id = excluded.order_id";

/// Takes a newer version over the one before. Only a row that is behind that is wrong: see above.
const UPDATE_ORDER: &str =
    "UPDATE orders SET
        state = ?3, version = ?4, customer_id = ?5, status = ?6, total_cents = ?7, placed_at = ?8, updated_at = ?9,
        checksum = ?10
    WHERE key = ?1 AND order_id = ?2 AND version >= ?11";

const INSERT_EVENT: &str = "INSERT OR REPLACE INTO order_events (key, version, position) VALUES (?1, ?2, ?3)";

/// Rows of one transaction. Larger ones hold the disk and a core for longer than a command likes to wait.
pub(crate) const ROWS_PER_COMMIT: usize = 4_000;

/// The writing end of a file of views.
pub(crate) struct Views {
    connection: Connection,
    path: PathBuf,
    number: u64,
    progress: FileProgress,
}

/// A row of `orders` on its way into the file.
pub(crate) struct PutOrder<'a> {
    pub(crate) key: OrderKey,
    pub(crate) view: &'a OrderView,
    /// The version of the row that is there; `None` if the order is new.
    pub(crate) previous: Option<Version>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Beside readers, by a write-ahead log.
    Serving,
    /// By somebody who is alone with it, without a way back: what comes of it is of no use unless it is finished.
    Building,
}

impl Views {
    /// Opens the file of a log with a number. What is in it may make it [useless](ViewsError::Useless).
    pub(crate) fn open(log_path: &Path, number: u64, log_identity: Uuid) -> Result<Self, ViewsError> {
        let path = files::path(log_path, number);
        let connection = open(&path, Writing::Serving)?;
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
    ) -> Result<Self, OpenError> {
        let path = files::path(log_path, number);
        files::remove(&path)?;
        let create = || {
            let mut connection = open(&path, Writing::Building)?;
            let progress = FileProgress::start(log_identity, hash_seed, projection());
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            progress.save(&transaction)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
            Ok(Self { connection, path: path.clone(), number, progress })
        };
        create().map_err(OpenError::sqlite(&path))
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

    /// Writes a generation, in several transactions. Readers see the orders in the overlay until all are done; a crash in
    /// between leaves rows ahead of `progress`, which the same events will meet again.
    pub(crate) fn write(&mut self, generation: &Generation) -> Result<(), ViewsError> {
        let Some((position, event_id)) = generation.last else { return Ok(()) };
        let reached = self.progress.position;
        let new_orders = generation.changes().filter(|(key, _)| *key > reached.0);
        let mut entries: Vec<_> =
            new_orders.map(|(key, change)| (self.hash(change.view.order_id()), key)).collect();
        entries.sort_unstable();
        self.insert_ids(&entries)?;
        #[cfg(feature = "planted-faults")]
        crate::sqlite::planted_faults::end_here("end-after-ids");
        let orders = generation.changes().map(|(key, change)| {
            let previous = (key <= reached.0).then(|| version_before(change));
            PutOrder { key, view: &change.view, previous }
        });
        let last_key = self.put_orders(orders)?;
        #[cfg(feature = "planted-faults")]
        crate::sqlite::planted_faults::end_here("end-after-orders");
        let positions = generation.changes().flat_map(|(key, change)| {
            change.positions.iter().map(move |(version, position)| (key, *version, *position))
        });
        self.insert_events(positions)?;
        #[cfg(feature = "planted-faults")]
        crate::sqlite::planted_faults::end_here("end-after-positions");
        self.reach(position, event_id, last_key)
    }

    /// Adds new orders to the index: entries in the order of their hashes.
    pub(crate) fn insert_ids(&mut self, entries: &[IdEntry]) -> Result<(), ViewsError> {
        for chunk in entries.chunks(ROWS_PER_COMMIT) {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT_ID)?;
            let mut ranges = RangeWriter::new(&transaction)?;
            for entry in chunk {
                // After a crash an entry may be there already, and its range knows of it.
                if insert.execute(params![entry.0, entry.1])? == 1 {
                    ranges.add(*entry)?;
                }
            }
            ranges.write()?;
            let mut progress = self.progress;
            progress.ids.combine(ranges.totals);
            progress.save(&transaction)?;
            drop((insert, ranges));
            transaction.commit()?;
            self.progress = progress;
        }
        Ok(())
    }

    /// Writes rows in the order of their keys. Answers with the key of the last new order.
    pub(crate) fn put_orders<'a>(
        &mut self,
        orders: impl Iterator<Item = PutOrder<'a>>,
    ) -> Result<OrderKey, ViewsError> {
        let mut last_key = self.progress.last_key;
        let mut orders = orders.peekable();
        let mut scratch = Vec::new();
        while orders.peek().is_some() {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT_ORDER)?;
            let mut update = transaction.prepare_cached(UPDATE_ORDER)?;
            for PutOrder { key, view, previous } in orders.by_ref().take(ROWS_PER_COMMIT) {
                let written = match previous {
                    None => put(&mut insert, key, view, std::mem::replace(&mut last_key, key), &mut scratch)?,
                    Some(previous) => put(&mut update, key, view, previous.0, &mut scratch)?,
                };
                if written != 1 {
                    let order_id = view.order_id();
                    let what = format!(
                        "the view of order {order_id} is not at the version that its next event follows on"
                    );
                    return Err(ViewsError::Damaged(what));
                }
            }
            drop((insert, update));
            transaction.commit()?;
        }
        Ok(last_key)
    }

    /// Says where events are that are not their orders' first.
    pub(crate) fn insert_events(
        &mut self,
        events: impl Iterator<Item = (OrderKey, Version, Position)>,
    ) -> Result<(), ViewsError> {
        let mut events = events.peekable();
        while events.peek().is_some() {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT_EVENT)?;
            for (key, version, position) in events.by_ref().take(ROWS_PER_COMMIT) {
                insert.execute(params![key, version.0, position.0])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(())
    }

    /// Says that everything up to a position is in the file.
    pub(crate) fn reach(
        &mut self,
        position: Position,
        event_id: Uuid,
        last_key: OrderKey,
    ) -> Result<(), ViewsError> {
        let progress = FileProgress { position, event_id, last_key, ..self.progress };
        progress.save(&self.connection)?;
        self.progress = progress;
        Ok(())
    }

    /// Says that the file is complete, once all of it is on the disk, and opens it for serving.
    pub(crate) fn finish(self) -> Result<Self, OpenError> {
        let Self { connection, path, number, mut progress } = self;
        // Without a journal everything is in the file when its connection closes, or in the system's cache.
        connection.close().map_err(|(_, error)| OpenError::sqlite(&path)(error))?;
        std::fs::File::open(&path).and_then(|file| file.sync_all()).map_err(OpenError::io(&path))?;
        progress.complete = true;
        let finish = || {
            let connection = open(&path, Writing::Serving)?;
            progress.save(&connection)?;
            // The one commit of this file that has to be durable in its turn.
            connection.query_row("PRAGMA wal_checkpoint(FULL)", (), |_| Ok(()))?;
            Ok(connection)
        };
        let connection = finish().map_err(OpenError::sqlite(&path))?;
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

/// `last` is the previous order's key for a new row, and the least version for one that is there.
fn put(
    statement: &mut CachedStatement<'_>,
    key: OrderKey,
    view: &OrderView,
    last: u64,
    scratch: &mut Vec<u8>,
) -> rusqlite::Result<usize> {
    let row = ViewRow::of(view);
    statement.execute(params![
        key,
        row.order_id,
        row.state,
        row.version,
        row.customer_id,
        row.status,
        row.total_cents,
        row.placed_at.map(Timestamp::as_micros),
        row.updated_at.map(Timestamp::as_micros),
        row.checksum(key, scratch).as_bytes(),
        last,
    ])
}

/// The version that an order had before a change; of one that is damaged, any.
fn version_before(change: &Change) -> Version {
    if change.view.is_damaged() {
        return Version::NONE;
    }
    Version(change.view.version().0.saturating_sub(change.positions.len() as u64))
}

fn open(path: &Path, writing: Writing) -> rusqlite::Result<Connection> {
    let cache_kib = match writing {
        Writing::Serving => 12 * 1024,
        // Each table is written from its beginning to its end.
        Writing::Building => 2 * 1024,
    };
    let connection = open_writer(path, &Settings { synchronous: "normal", cache_kib })?;
    if writing == Writing::Building {
        connection.pragma_update(None, "journal_mode", "off")?;
        connection.pragma_update(None, "synchronous", "off")?;
    }
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
