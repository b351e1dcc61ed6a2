//! Rows of the log in their order, also for whoever goes on past those that cannot be read.

use std::ops::ControlFlow;

use order_application::{PageLimit, Position, RecordedEvent, StoreError, Version};
use order_domain::OrderId;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use crate::checksum::Covered;
use crate::sqlite::log::scan::{no_event, rows, scan};
use crate::sqlite::log::{LogError, row};

const ROWS: &str = rows!(row::columns!());
const ROW_AT: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position = ?1");

/// A row of the log.
pub(crate) struct LogEntry {
    pub(crate) position: Position,
    pub(crate) event: Result<RecordedEvent, UnreadableRow>,
}

/// A row that is not what was written.
pub(crate) struct UnreadableRow {
    /// The order that it says it is of, if that can be one.
    pub(crate) order_id: Option<OrderId>,
    /// The version that it says it is.
    pub(crate) version: Version,
    /// The id that it says it has, if that can be one.
    pub(crate) event_id: Option<Uuid>,
    /// What is wrong with it.
    pub(crate) error: StoreError,
}

impl LogEntry {
    /// The order that it is of, or says it is of.
    pub(crate) fn order_id(&self) -> Option<&OrderId> {
        self.event.as_ref().map_or_else(|row| row.order_id.as_ref(), |event| Some(&event.order_id))
    }

    fn read(position: Position, row: &Row<'_>, scratch: &mut Vec<u8>) -> Self {
        let event = row::read(row, scratch).map_err(|error| UnreadableRow {
            order_id: order_id(row, row::ORDER_ID),
            version: Version(row.get(row::VERSION).unwrap_or_default()),
            event_id: row.get(row::ID).ok().map(Uuid::from_bytes),
            error,
        });
        Self { position, event }
    }
}

/// The order that a row says it is of, if that can be one.
pub(crate) fn order_id(row: &Row<'_>, column: usize) -> Option<OrderId> {
    OrderId::new(row.get_ref(column).ok()?.as_str().ok()?).ok()
}

/// A page of the log after a position, up to another, those rows included that cannot be read. It ends before a position that
/// has none, and before a failure; where that is the first, the error says what is wrong.
pub(crate) fn page(
    log: &Connection,
    after: Position,
    up_to: Position,
    limit: PageLimit,
) -> Result<Vec<LogEntry>, LogError> {
    let mut entries = Vec::new();
    let (mut bytes, mut scratch) = (0, Vec::new());
    let read = scan(log, ROWS, after, up_to, |position, row| {
        let entry = LogEntry::read(position, row, &mut scratch);
        bytes += entry.event.as_ref().map_or(0, |event| event.data.len());
        if bytes > limit.bytes && !entries.is_empty() {
            return Ok(ControlFlow::Break(()));
        }
        entries.push(entry);
        let is_full = entries.len() >= limit.events;
        Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    match read {
        Err(error) if entries.is_empty() => Err(error),
        Ok(()) | Err(_) => Ok(entries),
    }
}

/// A page of events, which also ends before one that cannot be read.
pub(crate) fn events(
    log: &Connection,
    after: Position,
    up_to: Position,
    limit: PageLimit,
) -> Result<Vec<RecordedEvent>, LogError> {
    let mut events = Vec::new();
    for entry in page(log, after, up_to, limit)? {
        match entry.event {
            Ok(event) => events.push(event),
            Err(row) if events.is_empty() => return Err(row.error.into()),
            Err(_) => break,
        }
    }
    Ok(events)
}

/// What `add` makes of a page of events; it also ends before one that cannot be read.
pub(crate) fn collect<T: Default>(
    log: &Connection,
    after: Position,
    up_to: Position,
    limit: PageLimit,
    add: fn(&mut T, &Covered<'_>),
) -> Result<T, LogError> {
    let (mut collected, mut events, mut bytes, mut scratch) = (T::default(), 0, 0, Vec::new());
    let read = scan(log, ROWS, after, up_to, |_, row| {
        let (_, event) = row::checked(row, &mut scratch)?;
        bytes += event.data.len();
        if bytes > limit.bytes && events > 0 {
            return Ok(ControlFlow::Break(()));
        }
        add(&mut collected, &event);
        events += 1;
        Ok(if events < limit.events { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    });
    match read {
        Err(error) if events == 0 => Err(error),
        Ok(()) | Err(_) => Ok(collected),
    }
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
