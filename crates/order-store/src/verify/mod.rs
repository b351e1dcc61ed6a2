//! Checking a store from end to end: what does not depend on where it is kept.
//!
//! A store supplies its rows and its views, and goes over them so:
//!
//! 1. Every row of the log, in order, to [`LogCheck`]: positions without a gap, rows that can be read, checksums.
//! 2. Then the orders in parts, by a hash of their ids. For each: the part's rows to [`CheckedOrders`], where every stream
//!    must be contiguous and every event must decode; then each of these orders' views is held against its fold. A part's
//!    orders are all that is held in memory at once.
//!
//! [`SqliteStore::verify`](crate::SqliteStore::verify) and [`PostgresStore::verify`](crate::PostgresStore::verify) do.

mod log_check;
mod orders;
mod report;

use order_application::{Position, RecordedEvent, StoreError};
use order_domain::OrderId;

pub(crate) use log_check::LogCheck;
pub(crate) use orders::{CheckedOrder, CheckedOrders, DerivedOrder};
pub use report::VerifyReport;
pub(crate) use report::{Findings, VerifyProgress};

/// A row of the log, as far as it can be read.
pub(crate) enum LogRow {
    Event {
        event: RecordedEvent,
        /// Where the row says that its order begins, if it says so.
        order_key: Option<Position>,
    },
    /// A row that is not what was written.
    Damaged {
        /// Where it says it is, if that can be read.
        position: Option<Position>,
        /// The order that it says it is of, if that can be one.
        order_id: Option<OrderId>,
        error: StoreError,
    },
    /// Positions that the database itself cannot read.
    Unreadable { first: Position, last: Position, why: String },
}

/// One of so many parts of all orders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) number: u64,
    pub(crate) of: u64,
}

impl Part {
    /// All orders.
    pub(crate) const WHOLE: Self = Self { number: 0, of: 1 };
}
