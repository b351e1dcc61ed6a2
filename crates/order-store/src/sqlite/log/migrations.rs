//! The log's schema, and how it comes about: forward-only migrations, all that are missing in one transaction.
//!
//! A release that finds a file of a later one opens it only if that one says that it may: each migration names the oldest
//! schema version whose releases can go on with what it makes. So the way back is open for as long as migrations only add.

use std::collections::BTreeSet;
use std::sync::OnceLock;

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
    // Whoever knows only the schemas before it deletes old receipts wherever they are: the gaps would be taken for losses.
    LogMigration { sql: include_str!("migrations/0003_accepted_losses.sql"), oldest_compatible: 3 },
    LogMigration { sql: include_str!("migrations/0004_finished_wals.sql"), oldest_compatible: 3 },
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

    /// Why a file that is not empty has not the tables of the version that it says it has, if that is so: what seems to be missing
    /// would be made anew.
    pub(super) fn mismatch(log: &Connection) -> rusqlite::Result<Option<String>> {
        let version: i64 = log.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > Self::known() {
            return Ok(None);
        }
        let known = tables()?;
        let all = known.last().cloned().unwrap_or_default();
        // Others are somebody else's, or a copy's.
        let found: BTreeSet<_> = tables_of(log)?.into_iter().filter(|table| all.contains(table)).collect();
        if usize::try_from(version).ok().and_then(|version| known.get(version)) == Some(&found) {
            return Ok(None);
        }
        let right = known.iter().position(|tables| *tables == found).filter(|version| *version > 0);
        let way_out = right.map_or_else(
            || "restore it".to_owned(),
            |right| format!("restore it, or say what its tables are: PRAGMA user_version = {right}"),
        );
        Ok(Some(format!(
            "somebody has changed it: its user_version says schema {version}, and its tables are others; {way_out}"
        )))
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

/// The tables that each schema version has, from 0 on.
pub(super) fn tables() -> rusqlite::Result<&'static [BTreeSet<String>]> {
    static TABLES: OnceLock<Vec<BTreeSet<String>>> = OnceLock::new();
    if let Some(tables) = TABLES.get() {
        return Ok(tables);
    }
    let log = Connection::open_in_memory()?;
    let mut tables = vec![BTreeSet::new()];
    for migration in migrations() {
        log.execute_batch(migration.sql)?;
        tables.push(tables_of(&log)?);
    }
    Ok(TABLES.get_or_init(|| tables))
}

/// The tables that are there.
pub(super) fn tables_of(log: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = log.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    statement.query_map((), |row| row.get(0))?.collect()
}

/// An empty log of this release, in memory.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    let log = Connection::open_in_memory()?;
    migrate(&log, 0)?;
    Ok(log)
}
