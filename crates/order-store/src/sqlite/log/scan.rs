//! Going through the log for whoever derives something from it, past rows that cannot be read.

use std::ops::ControlFlow;

use order_application::{Position, RecordedEvent, StoreError};
use order_domain::OrderId;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::row;

/// Rows that are read in one transaction. A longer one would keep the write-ahead log from starting anew.
const ROWS_AT_ONCE: usize = 2_000;

const ROWS: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM events WHERE position >= ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
);

/// A row of the log.
pub(in crate::sqlite) struct ScannedRow<'r> {
    pub(in crate::sqlite) position: Position,
    /// As it stands there; not checked.
    pub(in crate::sqlite) order_id: &'r str,
    /// As it stands there; not checked.
    pub(in crate::sqlite) version: u64,
    row: &'r rusqlite::Row<'r>,
}

impl ScannedRow<'_> {
    /// The event that the row is.
    pub(in crate::sqlite) fn event(&self, scratch: &mut Vec<u8>) -> Result<RecordedEvent, StoreError> {
        row::read(self.row, scratch)
    }

    /// The id that it says it has.
    pub(in crate::sqlite) fn event_id(&self) -> Option<Uuid> {
        self.row.get(row::ID).ok().map(Uuid::from_bytes)
    }

    /// The order that it says it is of.
    pub(in crate::sqlite) fn order_id(&self) -> Option<OrderId> {
        OrderId::new(self.order_id).ok()
    }
}

/// Visits the rows between two positions in their order, for as long as `visit` says so.
///
/// # Errors
/// The outer error is SQLite's; the inner one says which position the log lacks, or is the visitor's.
pub(in crate::sqlite) fn scan<E>(
    log: &Connection,
    mut after: Position,
    up_to: Position,
    missing: impl Fn(StoreError) -> E,
    visit: &mut dyn FnMut(&ScannedRow<'_>) -> Result<ControlFlow<()>, E>,
) -> rusqlite::Result<Result<(), E>> {
    while after < up_to {
        let mut statement = log.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![after.0 + 1, up_to.0, ROWS_AT_ONCE])?;
        let began = after;
        while let Some(row) = rows.next()? {
            let position = Position(row.get(0)?);
            if position != after.plus(1) {
                return Ok(Err(missing(no_event(after.plus(1)))));
            }
            after = position;
            let order_id = row.get_ref(row::ORDER_ID)?.as_str().unwrap_or_default();
            let version = row.get(row::VERSION).unwrap_or_default();
            match visit(&ScannedRow { position, order_id, version, row }) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
        if after == began {
            return Ok(Err(missing(no_event(after.plus(1)))));
        }
    }
    Ok(Ok(()))
}

fn no_event(position: Position) -> StoreError {
    StoreError::Corrupt(format!("no event at position {position}"))
}
