//! Event stores with their views.
//!
//! | store | for |
//! |---|---|
//! | [`SqliteStore`] | one machine, durable: the default |
//! | [`PostgresStore`] | many instances on one database |
//! | [`MemoryStore`] | tests and demos: gone at exit |
//!
//! All go through one contract suite, `tests/stores/contract`. To add a store: one folder here, one arm in the binary's wiring,
//! one line that calls the suite.

mod backup;
mod checksum;
mod copy;
mod counted;
mod list_path;
mod log_reader;
mod memory;
#[cfg(feature = "planted-faults")]
mod planted_release;
mod postgres;
mod postgres_error;
mod rebuild_report;
mod receipt_row;
mod replication;
mod sqlite;
mod sqlite_error;
mod sqlite_trouble;
mod store_location;
mod verify;
mod view_row;

use std::time::Duration;

/// How long an append waits for the store's writer at most, unless told otherwise: a healthy store takes milliseconds, and
/// whoever is refused now is served sooner than behind a queue that only grows.
pub const DEFAULT_QUEUE_WAIT: Duration = Duration::from_secs(1);

/// The version of the projection by which this release makes rows.
pub(crate) fn projection() -> u32 {
    #[cfg(feature = "planted-faults")]
    return planted_release::projection();
    #[cfg(not(feature = "planted-faults"))]
    return order_application::PROJECTION_VERSION;
}

pub use backup::{
    BACKUP_PART_BYTES, BackupDirError, BackupError, BackupOptions, BackupReport, RestoreError, RestoreLimits,
    RestoreReport, Until, backup, restore, verify_backup,
};
pub use copy::{COPY_CHUNK, CopyError, CopyReport, CopyStep, SideError};
pub use log_reader::LogReader;
pub use memory::MemoryStore;
pub use postgres::{
    Migrated, PostgresAddress, PostgresLoss, PostgresOptions, PostgresStore, ServerFailure, postgres_address,
    with_password, without_password,
};
pub use postgres_error::{PostgresError, PostgresFault};
pub use rebuild_report::RebuildReport;
pub use sqlite::{Loss, OpenMode, SqliteLimits, SqliteStore};
pub use sqlite_error::SqliteError;
pub use store_location::{StoreLocation, copy};
pub use verify::VerifyReport;
