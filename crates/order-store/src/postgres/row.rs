//! Rows of the tables, as values of the application.

use std::error::Error;

use order_application::{OrderView, Position, RecordedEvent, StoreError, Version};
use order_domain::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::checksum::{Checked, Checksum};
use crate::view_row::ViewRow;

/// The columns that [`read_event`] wants, of `order_service.events AS e`.
macro_rules! event_columns {
    () => {
        "e.position, e.version, e.time, e.id, e.order_id, e.type, e.data, e.context, e.source, e.checksum"
    };
}
pub(super) use event_columns;

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
    let position: i64 = row.try_get(0).map_err(|e| StoreError::Corrupt(format!("an event: {e}")))?;
    let corrupt = |what: &str| StoreError::Corrupt(format!("event at position {position}: {what}"));
    let broken = |e: tokio_postgres::Error| corrupt(&e.to_string());

    let id: Uuid = row.try_get(3).map_err(broken)?;
    let text = |index| row.try_get::<_, &str>(index).map_err(broken);
    let checked = Checked {
        position: None,
        version: Version(row.try_get::<_, i64>(1).map_err(broken)?.cast_unsigned()),
        time: row.try_get::<_, PgTime>(2).map_err(broken)?.0,
        id: id.as_bytes(),
        order_id: text(4)?,
        event_type: text(5)?,
        data: text(6)?,
        context: text(7)?,
        source: row.try_get(8).map_err(broken)?,
    };
    if checked.checksum(scratch).as_bytes() != row.try_get::<_, &[u8]>(9).map_err(broken)? {
        return Err(corrupt("the checksum does not match"));
    }
    let event = checked.into_event(Position(position.cast_unsigned()));
    #[cfg(feature = "planted-faults")]
    let event = event.map(crate::planted_release::read);
    event.map_err(|e| corrupt(&format!("order id: {e}")))
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
    let time = |index| {
        Ok::<_, Box<dyn Error + Sync + Send>>(row.try_get::<_, Option<PgTime>>(index)?.map(|time| time.0))
    };
    let read = || -> Result<StoredView, Box<dyn Error + Sync + Send>> {
        let found = ViewRow {
            order_id: row.try_get(first + 1)?,
            state: row.try_get(first + 2)?,
            version: row.try_get::<_, i64>(first + 3)?.cast_unsigned(),
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
        Ok(StoredView {
            key: Position(row.try_get::<_, i64>(first)?.cast_unsigned()),
            view: found.into_view()?,
            projection,
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

/// A point in time as PostgreSQL sends it: microseconds since 2000-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy)]
pub(super) struct PgTime(pub(super) Timestamp);

/// 2000-01-01 in microseconds since 1970-01-01.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl<'a> FromSql<'a> for PgTime {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        let micros = micros.checked_add(PG_EPOCH_MICROS).ok_or("a time that no event has")?;
        Ok(Self(Timestamp::from_micros(micros)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for PgTime {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
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
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.as_bytes().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }

    to_sql_checked!();
}
