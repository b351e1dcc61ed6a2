//! Rows of the tables, as values of the application.

use std::error::Error;
use std::num::TryFromIntError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use order_application::{OrderView, Position, Receipt, RecordedEvent, StoreError, Version};
use order_domain::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::checksum::{Checksum, Covered};
use crate::receipt_row::ReceiptRow;
use crate::view_row::ViewRow;

type BoxedError = Box<dyn Error + Sync + Send>;

/// The columns that [`read_event`] wants, of `order_service.events AS e`.
macro_rules! event_columns {
    () => {
        "e.position, e.version, e.time, e.id, e.order_id, e.type, e.data, e.context, e.source, e.checksum, e.order_key"
    };
}
pub(super) use event_columns;

/// Where some of them are, for whoever cannot read the event.
pub(super) const EVENT_POSITION: usize = 0;
pub(super) const EVENT_VERSION: usize = 1;
pub(super) const EVENT_ORDER_ID: usize = 4;
pub(super) const EVENT_ORDER_KEY: usize = 10;

/// The columns that [`read_order`] wants, of `order_service.orders AS o`.
macro_rules! order_columns {
    () => {
        "o.key, o.order_id, o.state, o.version, o.customer_id, o.status, o.total_cents, o.placed_at, o.updated_at, \
         o.due_at, o.on_hold, o.checksum, o.projection, o.updated_position"
    };
}
pub(super) use order_columns;

/// Where some of them are, and how many there are.
pub(super) const ORDER_KEY: usize = 0;
pub(super) const ORDER_VERSION: usize = 3;
pub(super) const ORDER_CHECKSUM: usize = 11;
pub(super) const ORDER_UPDATED_POSITION: usize = 13;
pub(super) const ORDER_COLUMNS: usize = 14;

/// The columns that [`read_receipt`] wants, of `order_service.receipts`.
macro_rules! receipt_columns {
    () => {
        "key, fingerprint, order_id, version, answer, answered_at, checksum"
    };
}
pub(super) use receipt_columns;

/// Reads an event and checks it.
pub(super) fn read_event(row: &Row, scratch: &mut Vec<u8>) -> Result<RecordedEvent, StoreError> {
    let position = number(row, 0).map_err(|e| StoreError::Corrupt(format!("an event: {e}")))?;
    let mut read = || -> Result<RecordedEvent, BoxedError> {
        let id: Uuid = row.try_get(3)?;
        let checked = Covered {
            position: None,
            version: Version(number(row, 1)?),
            time: timestamp(row.try_get(2)?)?,
            id: id.as_bytes(),
            order_id: row.try_get(4)?,
            event_type: row.try_get(5)?,
            data: row.try_get(6)?,
            context: row.try_get(7)?,
            source: row.try_get(8)?,
        };
        if checked.checksum(scratch).as_bytes() != row.try_get::<_, &[u8]>(9)? {
            return Err("the checksum does not match".into());
        }
        checked.into_event(Position(position)).map_err(|error| format!("order id: {error}").into())
    };
    let event = read().map_err(|e| StoreError::Corrupt(format!("event at position {position}: {e}")));
    #[cfg(feature = "planted-faults")]
    let event = event.map(crate::planted_release::read);
    event
}

/// Reads a receipt and checks it.
pub(super) fn read_receipt(row: &Row) -> Result<Receipt, StoreError> {
    let read = || -> Result<(ReceiptRow<'_>, &[u8]), BoxedError> {
        let receipt = ReceiptRow {
            key: row.try_get(0)?,
            fingerprint: row.try_get(1)?,
            order_id: row.try_get(2)?,
            version: number(row, 3)?,
            answer: row.try_get(4)?,
            answered_at: timestamp(row.try_get(5)?)?,
        };
        Ok((receipt, row.try_get(6)?))
    };
    let (receipt, checksum) = read().map_err(|error| StoreError::Corrupt(format!("a receipt: {error}")))?;
    receipt.into_receipt(checksum)
}

/// A number, which the database knows with a sign.
pub(super) fn number(row: &Row, index: usize) -> Result<u64, tokio_postgres::Error> {
    row.try_get::<_, i64>(index).map(i64::cast_unsigned)
}

/// An order's row that is what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredView {
    /// Where the order begins.
    pub(super) key: Position,
    pub(super) view: OrderView,
    /// What made it.
    pub(super) projection: i32,
    /// Where its last event is said to be. No checksum covers that.
    pub(super) updated_position: Position,
}

/// Why an order's row is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct DamagedView(pub(super) String);

/// Reads an order's row, whose columns begin at an index, and checks it.
pub(super) fn read_order(row: &Row, first: usize) -> Result<StoredView, DamagedView> {
    let time = |index| -> Result<Option<Timestamp>, BoxedError> {
        Ok(row.try_get::<_, Option<SystemTime>>(index)?.map(timestamp).transpose()?)
    };
    let read = || -> Result<StoredView, BoxedError> {
        let found = ViewRow {
            order_id: row.try_get(first + 1)?,
            state: row.try_get(first + 2)?,
            version: number(row, first + 3)?,
            customer_id: row.try_get(first + 4)?,
            status: row.try_get(first + 5)?,
            total_cents: row.try_get(first + 6)?,
            placed_at: time(first + 7)?,
            updated_at: time(first + 8)?,
            due_at: time(first + 9)?,
            on_hold: row.try_get(first + 10)?,
            updated_position: None,
        };
        let projection: i32 = row.try_get(first + 12)?;
        if view_checksum(&found, projection, &mut Vec::new()).as_bytes()
            != row.try_get::<_, &[u8]>(first + 11)?
        {
            return Err("the checksum does not match".into());
        }
        Ok(StoredView {
            key: Position(number(row, first)?),
            view: found.into_view()?,
            projection,
            updated_position: Position(number(row, first + ORDER_UPDATED_POSITION)?),
        })
    };
    read().map_err(|error| DamagedView(error.to_string()))
}

/// The checksum of an order's row that a projection made.
pub(super) fn view_checksum(row: &ViewRow<'_>, projection: i32, scratch: &mut Vec<u8>) -> Checksum {
    row.checksum(projection.cast_unsigned().into(), scratch)
}

/// A number of an event as the database has it. None is as large as what this makes of larger ones.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A point in time as the driver knows it.
pub(super) fn system_time(time: Timestamp) -> SystemTime {
    let distance = Duration::from_micros(time.as_micros().unsigned_abs());
    if time.as_micros() < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// And back.
pub(super) fn timestamp(time: SystemTime) -> Result<Timestamp, TryFromIntError> {
    let micros = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros())?,
        Err(before) => -i64::try_from(before.duration().as_micros())?,
    };
    Ok(Timestamp::from_micros(micros))
}

impl ToSql for Checksum {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        self.as_bytes().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }

    to_sql_checked!();
}
