//! The log's schema, and how it comes about: forward-only migrations, all that are missing in one transaction.
//!
//! A release that finds a file of a later one opens it only if that one says that it may: each migration names the oldest
//! schema version whose releases can go on with what it makes. So the way back is open for as long as migrations only add.

use rusqlite::{Connection, params};
use uuid::Uuid;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogMigration {
    pub(crate) sql: &'static str,
    /// The oldest schema version whose releases may open the file afterwards.
    pub(crate) oldest_compatible: i64,
}

/// Every migration, in order; its version is its place, from 1 (`PRAGMA user_version`). One that has been released is never
/// changed.
const MIGRATIONS: &[LogMigration] = &[
    LogMigration { sql: include_str!("migrations/0001_log.sql"), oldest_compatible: 1 },
    LogMigration { sql: include_str!("migrations/0002_receipts.sql"), oldest_compatible: 1 },
];

fn migrations() -> impl ExactSizeIterator<Item = LogMigration> {
    #[cfg(feature = "planted-faults")]
    let planted = crate::planted_release::sqlite_migration();
    #[cfg(not(feature = "planted-faults"))]
    let planted = None;
    MIGRATIONS.iter().copied().chain(planted).collect::<Vec<_>>().into_iter()
}

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogSchema {
    /// How many migrations it has had; 0: there is nothing in it.
    pub(super) version: i64,
    /// The oldest schema version whose releases may open it.
    pub(super) oldest_compatible: i64,
}

impl LogSchema {
    /// What this release makes.
    pub(super) fn known() -> i64 {
        migrations().len() as i64
    }

    /// Of a file that is not empty.
    pub(super) fn of(log: &Connection) -> rusqlite::Result<Self> {
        let version = log.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let oldest_compatible = log.query_row("SELECT oldest_compatible FROM log", (), |row| row.get(0))?;
        Ok(Self { version, oldest_compatible })
    }

    /// Whether this release may open the file.
    pub(super) fn is_open_to_this_release(self) -> bool {
        self.oldest_compatible <= Self::known()
    }
}

/// Runs what is missing after a version, in the caller's transaction. A log that is new gets its identity.
#[expect(
    clippy::disallowed_methods,
    reason = "an identity is made once for a file, and no test asks for a given one"
)]
pub(super) fn migrate(transaction: &Connection, from: i64) -> rusqlite::Result<()> {
    let mut oldest_compatible = 1;
    for (migration, version) in migrations().zip(1..).filter(|(_, version)| *version > from) {
        transaction.execute_batch(migration.sql)?;
        if version == 1 {
            let identity = Uuid::new_v4();
            let log = "INSERT INTO log (id, identity, oldest_compatible) VALUES (1, ?1, 1)";
            transaction.execute(log, params![identity.as_bytes()])?;
        }
        oldest_compatible = migration.oldest_compatible;
    }
    transaction.execute("UPDATE log SET oldest_compatible = ?1", [oldest_compatible])?;
    transaction.pragma_update(None, "user_version", LogSchema::known())
}

/// An empty log of this release, in memory.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    let log = Connection::open_in_memory()?;
    migrate(&log, 0)?;
    Ok(log)
}
