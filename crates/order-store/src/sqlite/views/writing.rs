//! Writing a file of views: each table in its order, in commits of bounded size.

use order_application::{OrderView, Position, Version};
use order_domain::Timestamp;
use rusqlite::{CachedStatement, params};
use uuid::Uuid;

use crate::sqlite::views::id_ranges::{self, IdEntry};
use crate::sqlite::views::overlay::{Change, Generation, OrderKey};
use crate::sqlite::views::progress::FileProgress;
use crate::sqlite::views::terms::{INSERT_TERM, TermEntry};
use crate::sqlite::views::zones::LogTimes;
use crate::sqlite::views::{Views, ViewsError};
use crate::view_row::ViewRow;

const INSERT_ID: &str = "INSERT OR IGNORE INTO order_ids (hash, key) VALUES (?1, ?2)";

/// After a crash a row may be there already, ahead of `progress`, by events that are all met again before the store opens.
const INSERT_ORDER: &str =
    "INSERT INTO orders
        (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, due_at, on_hold,
         updated_position, checksum, previous_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT (key) DO UPDATE SET
        state = excluded.state, version = excluded.version, customer_id = excluded.customer_id,
        status = excluded.status, total_cents = excluded.total_cents, placed_at = excluded.placed_at,
        updated_at = excluded.updated_at, due_at = excluded.due_at, on_hold = excluded.on_hold,
        updated_position = excluded.updated_position, checksum = excluded.checksum
    WHERE order_id = excluded.order_id";

/// Replaces a row by a newer one, unless it is older than the version before that, which is damage. It may be newer: then a
/// crash has left it.
const UPDATE_ORDER: &str =
    "UPDATE orders SET
        state = ?3, version = ?4, customer_id = ?5, status = ?6, total_cents = ?7, placed_at = ?8, updated_at = ?9,
        due_at = ?10, on_hold = ?11, updated_position = ?12, checksum = ?13
    WHERE key = ?1 AND order_id = ?2 AND version >= ?14";

const INSERT_EVENT: &str = "INSERT OR REPLACE INTO order_events (key, version, position) VALUES (?1, ?2, ?3)";

/// Rows of one transaction. Larger ones hold the disk and a core for longer than a command likes to wait.
pub(crate) const ROWS_PER_COMMIT: usize = 4_000;

/// A row of `orders` on its way into the file.
pub(crate) struct PutOrder<'a> {
    pub(crate) key: OrderKey,
    pub(crate) view: &'a OrderView,
    /// Where its last event is.
    pub(crate) updated_position: Position,
    /// The version of the row that is there; `None` if the order is new.
    pub(crate) previous: Option<Version>,
}

impl Views {
    /// Writes a generation, in several transactions. Until all are done, readers have the overlay. After a crash in between,
    /// some rows are ahead of `progress`, and the next start applies their events again.
    pub(crate) fn write(&mut self, generation: &Generation) -> Result<(), ViewsError> {
        self.insert_receipts(&self.receipt_entries(generation))?;
        #[cfg(feature = "planted-faults")]
        crate::sqlite::planted_faults::end_here("end-after-receipts");
        // There may be receipts alone.
        let Some((position, event_id)) = generation.last else { return Ok(()) };
        let reached = self.progress.position;
        let new_orders = generation.changes().filter(|(key, _)| *key > reached.0);
        let mut entries: Vec<_> =
            new_orders.map(|(key, change)| (self.hash(change.view.order_id()), key)).collect();
        entries.sort_unstable();
        self.insert_ids(&entries)?;
        #[cfg(feature = "planted-faults")]
        crate::sqlite::planted_faults::end_here("end-after-ids");
        // Before the rows, so that whoever finds a row that is ahead of progress finds its terms.
        let terms = generation
            .changes()
            .flat_map(|(key, change)| change.terms.iter().map(move |term| TermEntry::of(key, term)));
        self.insert_terms(terms.collect())?;
        #[cfg(feature = "planted-faults")]
        crate::sqlite::planted_faults::end_here("end-after-terms");
        let orders = generation.changes().map(|(key, change)| {
            let previous = (key <= reached.0).then(|| version_before(change));
            PutOrder { key, view: &change.view, updated_position: change.updated_position, previous }
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
            let mut inserted = Vec::with_capacity(chunk.len());
            for entry in chunk {
                // After a crash an entry may be there already, and its range knows of it.
                if insert.execute(params![entry.0, entry.1])? == 1 {
                    inserted.push(*entry);
                }
            }
            let mut progress = self.progress;
            progress.ids.combine(id_ranges::count(&transaction, &inserted)?);
            progress.save(&transaction)?;
            drop(insert);
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
            let mut times = LogTimes::default();
            for order in orders.by_ref().take(ROWS_PER_COMMIT) {
                let written = match order.previous {
                    None => {
                        put(&mut insert, &order, std::mem::replace(&mut last_key, order.key), &mut scratch)?
                    }
                    Some(previous) => put(&mut update, &order, previous.0, &mut scratch)?,
                };
                times.add(&order);
                if written != 1 {
                    let order_id = order.view.order_id();
                    let what = format!(
                        "the view of order {order_id} is not at the version that its next event follows on"
                    );
                    return Err(ViewsError::Damaged(what));
                }
            }
            drop((insert, update));
            times.write(&transaction)?;
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

    /// Adds what orders are found by, in the order of the table.
    pub(crate) fn insert_terms(&mut self, mut terms: Vec<TermEntry<'_>>) -> Result<(), ViewsError> {
        terms.sort_unstable();
        for chunk in terms.chunks(ROWS_PER_COMMIT) {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT_TERM)?;
            for TermEntry { block, kind, value, key } in chunk {
                insert.execute(params![block, kind, value, key])?;
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
}

/// `last_parameter` is, of a new row, the key of the order before; of one that is there, the least version that it may have.
fn put(
    statement: &mut CachedStatement<'_>,
    order: &PutOrder<'_>,
    last_parameter: u64,
    scratch: &mut Vec<u8>,
) -> rusqlite::Result<usize> {
    let PutOrder { key, view, updated_position, previous: _ } = order;
    let row = ViewRow { updated_position: Some(updated_position.0), ..ViewRow::of(view) };
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
        row.due_at.map(Timestamp::as_micros),
        row.on_hold,
        row.updated_position,
        row.checksum(*key, scratch).as_bytes(),
        last_parameter,
    ])
}

/// The version that an order had before a change; of one that is damaged, any.
fn version_before(change: &Change) -> Version {
    if change.view.is_damaged() {
        return Version::NONE;
    }
    Version(change.view.version().0.saturating_sub(change.positions.len() as u64))
}
