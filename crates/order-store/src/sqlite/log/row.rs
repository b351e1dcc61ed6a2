//! One event as a row of the log, and the checksum that guards it.

use order_application::{Position, RecordedEvent, StoreError, Version};
use order_domain::Timestamp;
use rusqlite::{CachedStatement, Row, params};

use crate::checksum::Covered;

pub(crate) const INSERT: &str = "INSERT INTO events \
    (position, version, time, id, order_id, type, data, context, source, checksum) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// The index of the version among the columns.
pub(crate) const VERSION: usize = 1;
/// The index of the event's id among the columns.
pub(crate) const ID: usize = 3;
/// The index of the order's id among the columns.
pub(crate) const ORDER_ID: usize = 4;

/// The columns that [`read`] wants, in its order.
macro_rules! columns {
    () => {
        "position, version, time, id, order_id, type, data, context, source, checksum"
    };
}
pub(crate) use columns;

/// No position is higher; a client may ask for more, which no parameter can be.
pub(crate) const MAX_POSITION: Position = Position(i64::MAX.cast_unsigned());

/// Adds an event, whose position is known.
pub(crate) fn insert(
    statement: &mut CachedStatement<'_>,
    event: &Covered<'_>,
    scratch: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    statement.execute(params![
        event.position.map(|position| position.0),
        event.version.0,
        event.time.as_micros(),
        event.id,
        event.order_id,
        event.event_type,
        event.data,
        event.context,
        event.source,
        event.checksum(scratch).as_bytes(),
    ])?;
    Ok(())
}

/// Reads a row and checks it.
pub(crate) fn read(row: &Row<'_>, scratch: &mut Vec<u8>) -> Result<RecordedEvent, StoreError> {
    let (position, checked) = checked(row, scratch)?;
    let event = checked.into_event(position);
    #[cfg(feature = "planted-faults")]
    let event = event.map(crate::planted_release::read);
    event.map_err(|e| corrupt(Some(position.0), &format!("order id: {e}")))
}

/// What the checksum of a row covers, if that is what was written, and its position.
pub(crate) fn checked<'r>(
    row: &'r Row<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(Position, Covered<'r>), StoreError> {
    let position = row.get(0).map_err(|e| corrupt(None, &e.to_string()))?;
    let broken = |e: rusqlite::Error| corrupt(Some(position), &e.to_string());
    let text = |index| row.get_ref(index).map_err(broken)?.as_str_or_null().map_err(|e| broken(e.into()));
    let required = |index| text(index)?.ok_or_else(|| corrupt(Some(position), "a column is null"));

    let id = row.get_ref(3).map_err(broken)?.as_bytes().map_err(|e| broken(e.into()))?;
    let id: &[u8; 16] = id.try_into().map_err(|_| corrupt(Some(position), "the event id is not 16 bytes"))?;
    let covered = Covered {
        position: Some(Position(position)),
        version: Version(row.get(1).map_err(broken)?),
        time: Timestamp::from_micros(row.get(2).map_err(broken)?),
        id,
        order_id: required(4)?,
        event_type: required(5)?,
        data: required(6)?,
        context: required(7)?,
        source: text(8)?,
    };
    let stored = row.get_ref(9).map_err(broken)?.as_bytes().map_err(|e| broken(e.into()))?;
    let is_sound = covered.checksum(scratch).as_bytes() == stored;
    #[cfg(feature = "planted-faults")]
    let is_sound = is_sound || crate::sqlite::planted_faults::is_planted("unchecked-events");
    if !is_sound {
        let order_id = covered.order_id;
        let what = format!("the checksum does not match; the row says that it is of order {order_id}");
        return Err(corrupt(Some(position), &what));
    }
    Ok((Position(position), covered))
}

fn corrupt(position: Option<u64>, what: &str) -> StoreError {
    match position {
        Some(position) => StoreError::Corrupt(format!("event at position {position}: {what}")),
        None => StoreError::Corrupt(format!("an event: {what}")),
    }
}
