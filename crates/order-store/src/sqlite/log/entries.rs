//! Pages of the log for whoever goes on past rows that cannot be read.

use std::ops::ControlFlow;

use order_application::{Position, RecordedEvent, StoreError};
use order_domain::OrderId;
use rusqlite::Connection;
use uuid::Uuid;

use super::scan::scan;

/// A row of the log.
pub(in crate::sqlite) enum LogEntry {
    Event(RecordedEvent),
    /// A row that is not what was written.
    Unreadable {
        position: Position,
        /// The order that it says it is of, if that can be one.
        order_id: Option<OrderId>,
        /// The version that it says it is.
        version: u64,
        /// The id that it says it has, if that can be one.
        event_id: Option<Uuid>,
        /// What is wrong with it.
        error: StoreError,
    },
}

impl LogEntry {
    pub(in crate::sqlite) fn position(&self) -> Position {
        match self {
            Self::Event(event) => event.position,
            Self::Unreadable { position, .. } => *position,
        }
    }
}

/// Rows between two positions, so many at most. The inner error says which position the log lacks.
pub(in crate::sqlite) fn select(
    log: &Connection,
    after: Position,
    up_to: Position,
    limit: usize,
) -> rusqlite::Result<Result<Vec<LogEntry>, StoreError>> {
    let mut entries = Vec::new();
    let mut scratch = Vec::new();
    let scanned = scan(log, after, up_to, std::convert::identity, &mut |row| {
        entries.push(match row.event(&mut scratch) {
            Ok(event) => LogEntry::Event(event),
            Err(error) => LogEntry::Unreadable {
                position: row.position,
                order_id: row.order_id(),
                version: row.version,
                event_id: row.event_id(),
                error,
            },
        });
        Ok(if entries.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(scanned.map(|()| entries))
}
