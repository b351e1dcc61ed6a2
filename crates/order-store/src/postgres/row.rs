//! Rows of the tables, as values of the application.

use std::error::Error;

use order_application::{OrderView, Position, RecordedEvent, StoreError, Version};
use order_domain::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::checksum::{Checksum, Covered};
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
pub(super) const EVENT_VERSION: usize = 1;
pub(super) const EVENT_ORDER_ID: usize = 4;
pub(super) const EVENT_ORDER_KEY: usize = 10;

/// The columns that [`read_order`] wants, of `order_service.orders AS o`.
macro_rules! order_columns {
    () => {
        "o.key, o.order_id, o.state, o.version, o.customer_id, o.status, o.total_cents, o.placed_at, o.updated_at, \
         o.checksum, o.projection"
    };
}
pub(super) use order_columns;

/// Reads an event and checks it.
pub(super) fn read_event(row: &Row, scratch: &mut Vec<u8>) -> Result<RecordedEvent, StoreError> {
    let position = number(row, 0).map_err(|e| StoreError::Corrupt(format!("an event: {e}")))?;
    let mut read = || -> Result<RecordedEvent, BoxedError> {
        let id: Uuid = row.try_get(3)?;
        let checked = Covered {
            position: None,
            version: Version(number(row, 1)?),
            time: row.try_get::<_, PgTime>(2)?.0,
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
}

/// Why an order's row is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct DamagedView(pub(super) String);

/// Reads an order's row, whose columns begin at an index, and checks it.
pub(super) fn read_order(row: &Row, first: usize) -> Result<StoredView, DamagedView> {
    let time = |index| row.try_get::<_, Option<PgTime>>(index).map(|time| time.map(|time| time.0));
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
        };
        let projection: i32 = row.try_get(first + 10)?;
        if view_checksum(&found, projection, &mut Vec::new()).as_bytes()
            != row.try_get::<_, &[u8]>(first + 9)?
        {
            return Err("the checksum does not match".into());
        }
        Ok(StoredView { key: Position(number(row, first)?), view: found.into_view()?, projection })
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

/// A point in time as PostgreSQL sends it: microseconds since 2000-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy)]
pub(super) struct PgTime(pub(super) Timestamp);

/// 2000-01-01 in microseconds since 1970-01-01.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl<'a> FromSql<'a> for PgTime {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        let micros = micros.checked_add(PG_EPOCH_MICROS).ok_or("a time that no event has")?;
        Ok(Self(Timestamp::from_micros(micros)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for PgTime {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        let micros =
            self.0.as_micros().checked_sub(PG_EPOCH_MICROS).ok_or("a time that PostgreSQL does not know")?;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
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
