//! Checking a store from end to end: what does not depend on where it is kept.
//!
//! A store supplies its rows and its views, and goes over them so:
//!
//! 1. Every row of the log, in order, to [`LogCheck`]: positions without a gap, rows that can be read, checksums.
//! 2. Then the orders in partitions, by a hash of their ids. For each: the partition's rows to [`Partition`], where every
//!    stream must be contiguous and every event must decode; then the partition's views, each of which must equal the
//!    fold of its order. A partition's orders are all that is held in memory at once.
//!
//! [`SqliteStore::verify`](crate::SqliteStore::verify) and [`PostgresStore::verify`](crate::PostgresStore::verify) do.

mod log_check;
mod partition;
mod report;

pub(crate) use log_check::LogCheck;
pub(crate) use partition::{CheckedOrder, Partition, difference};
pub use report::VerifyReport;

/// Rows between two reports of progress.
pub(crate) const ROWS_PER_REPORT: u64 = 4_096;
