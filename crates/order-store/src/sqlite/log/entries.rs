//! Rows of the log for whoever goes on past those that cannot be read.

use std::ops::ControlFlow;

use order_application::{PageLimit, Position, RecordedEvent, StoreError, Version};
use order_domain::OrderId;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use crate::sqlite::log::scan::{no_event, rows, scan};
use crate::sqlite::log::{LogError, row};

const ROWS: &str = rows!(row::columns!());
const ROW_AT: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position = ?1");

/// A row of the log.
pub(crate) enum LogEntry {
    Event(RecordedEvent),
    /// A row that is not what was written.
    Unreadable {
        position: Position,
        /// The order that it says it is of, if that can be one.
        order_id: Option<OrderId>,
        /// The version that it says it is.
        version: Version,
        /// The id that it says it has, if that can be one.
        event_id: Option<Uuid>,
        /// What is wrong with it.
        error: StoreError,
    },
}

impl LogEntry {
    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Event(event) => event.position,
            Self::Unreadable { position, .. } => *position,
        }
    }

    /// The order that it is of, or says it is of.
    pub(crate) fn order_id(&self) -> Option<&OrderId> {
        match self {
            Self::Event(event) => Some(&event.order_id),
            Self::Unreadable { order_id, .. } => order_id.as_ref(),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.data.len(),
            Self::Unreadable { .. } => 0,
        }
    }

    fn read(position: Position, row: &Row<'_>, scratch: &mut Vec<u8>) -> Self {
        match row::read(row, scratch) {
            Ok(event) => Self::Event(event),
            Err(error) => Self::Unreadable {
                position,
                order_id: order_id(row, row::ORDER_ID),
                version: Version(row.get(row::VERSION).unwrap_or_default()),
                event_id: row.get(row::ID).ok().map(Uuid::from_bytes),
                error,
            },
        }
    }
}

/// The order that a row says it is of, if that can be one.
pub(crate) fn order_id(row: &Row<'_>, column: usize) -> Option<OrderId> {
    OrderId::new(row.get_ref(column).ok()?.as_str().ok()?).ok()
}

/// Rows between two positions, so many at most, or one that is larger.
pub(crate) fn select(
    log: &Connection,
    after: Position,
    up_to: Position,
    limit: PageLimit,
) -> Result<Vec<LogEntry>, LogError> {
    let mut entries = Vec::new();
    let (mut bytes, mut scratch) = (0, Vec::new());
    scan(log, ROWS, after, up_to, |position, row| {
        let entry = LogEntry::read(position, row, &mut scratch);
        bytes += entry.data_bytes();
        entries.push(entry);
        let is_full = entries.len() >= limit.events || bytes >= limit.bytes;
        Ok::<_, LogError>(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(entries)
}

pub(crate) fn at(log: &Connection, position: Position, scratch: &mut Vec<u8>) -> Result<LogEntry, LogError> {
    let mut statement = log.prepare_cached(ROW_AT)?;
    let entry = statement.query_row([position.0], |row| Ok(LogEntry::read(position, row, scratch)));
    entry.optional()?.ok_or_else(|| no_event(position))
}

/// The event at a position, if there is a row.
pub(crate) fn event_at(
    log: &Connection,
    position: Position,
    scratch: &mut Vec<u8>,
) -> Result<Option<RecordedEvent>, LogError> {
    let mut statement = log.prepare_cached(ROW_AT)?;
    let event = statement.query_row([position.0], |row| Ok(row::read(row, scratch)));
    Ok(event.optional()?.transpose()?)
}
