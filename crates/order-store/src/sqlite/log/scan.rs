//! Going through the log for whoever derives something from it.

use std::ops::ControlFlow;

use order_application::{Position, StoreError};
use rusqlite::{Connection, Row, params};

/// Rows that are read in one transaction. A longer one would keep the write-ahead log from starting anew.
const ROWS_AT_ONCE: usize = 2_000;

/// A statement for [`scan`] that selects the position and these columns.
macro_rules! rows {
    ($columns:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM events WHERE position >= ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
        )
    };
}
pub(crate) use rows;

/// Visits the rows between two positions in their order, for as long as `visit` says so. `sql` is from [`rows`], and has the
/// position as its first column.
///
/// # Errors
/// The outer error is SQLite's; the inner one says which position the log lacks, or is the visitor's.
pub(crate) fn scan<E>(
    log: &Connection,
    sql: &str,
    mut after: Position,
    up_to: Position,
    missing: impl Fn(StoreError) -> E,
    mut visit: impl FnMut(Position, &Row<'_>) -> Result<ControlFlow<()>, E>,
) -> rusqlite::Result<Result<(), E>> {
    while after < up_to {
        let mut statement = log.prepare_cached(sql)?;
        let mut rows = statement.query(params![after.0 + 1, up_to.0, ROWS_AT_ONCE])?;
        let began = after;
        while let Some(row) = rows.next()? {
            let position = Position(row.get(0)?);
            if position != after.plus(1) {
                return Ok(Err(missing(no_event(after.plus(1)))));
            }
            after = position;
            match visit(position, row) {
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

pub(super) fn no_event(position: Position) -> StoreError {
    StoreError::Corrupt(format!("no event at position {position}"))
}
