//! Going through the log for whoever derives something from it.

use std::ops::ControlFlow;

use order_application::{Position, StoreError};
use rusqlite::{Connection, Row, params};

use crate::sqlite::log::LogError;

/// Rows that are read in one transaction. A longer one would keep the write-ahead log from starting anew.
const ROWS_AT_ONCE: usize = 2_000;

/// A statement for [`scan`] that selects the position and these columns: from a position on, and not after another, which may
/// be on a page that cannot be read.
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
/// The log's, also if it lacks a position; or the visitor's.
pub(crate) fn scan<E: From<LogError>>(
    log: &Connection,
    sql: &str,
    mut after: Position,
    up_to: Position,
    mut visit: impl FnMut(Position, &Row<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    while after < up_to {
        let mut statement = log.prepare_cached(sql).map_err(LogError::from)?;
        let mut rows =
            statement.query(params![after.0 + 1, up_to.0, ROWS_AT_ONCE]).map_err(LogError::from)?;
        let began = after;
        while let Some(row) = rows.next().map_err(LogError::from)? {
            let position = Position(row.get(0).map_err(LogError::from)?);
            if position != after.plus(1) {
                return Err(no_event(after.plus(1)).into());
            }
            after = position;
            if visit(position, row)?.is_break() {
                return Ok(());
            }
        }
        if after == began {
            return Err(no_event(after.plus(1)).into());
        }
    }
    Ok(())
}

pub(crate) fn no_event(position: Position) -> LogError {
    StoreError::Corrupt(format!("no event at position {position}")).into()
}
