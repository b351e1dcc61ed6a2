//! The log file: every event in commit order. The truth.

pub(crate) mod accepted_losses;
mod copying;
pub(crate) mod entries;
mod error;
pub(crate) mod finished_wals;
pub(crate) mod follower_checkpoints;
pub(crate) mod migrations;
pub(crate) mod outside_reader;
mod receipt_trimming;
pub(crate) mod receipts;
pub(crate) mod row;
pub(crate) mod scan;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use order_application::{Append, Position};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use crate::checksum::Covered;
use crate::sqlite::OpenMode;
use crate::sqlite::connection::{leave_alone_when_closed, malformed, open_unchanged, prepare_to_write};
use crate::sqlite::log::migrations::LogSchema;
use crate::sqlite::log::receipt_trimming::ReceiptTrimming;
use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::loss;
use crate::sqlite_error::SqliteError;

pub(crate) use error::LogError;

/// What a log is, which its file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    /// A server's, which takes commands.
    Store,
    /// A replica's.
    Replica,
    /// The target of a copy that is not finished.
    Copying,
}

impl LogKind {
    const ALL: [Self; 3] = [Self::Store, Self::Replica, Self::Copying];

    /// The file's mark (`PRAGMA application_id`): "ORDL", "ORDR", "ORDC".
    fn application_id(self) -> i64 {
        match self {
            Self::Store => 0x4F52_444C,
            Self::Replica => 0x4F52_4452,
            Self::Copying => 0x4F52_4443,
        }
    }

    fn of(application_id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.application_id() == application_id)
    }
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogEnds {
    pub(crate) position: Position,
    /// The newest receipt's number, which is never deleted. 0: there is none.
    pub(crate) receipt: Sequence,
}

const ENDS: &str = "SELECT coalesce((SELECT max(position) FROM events), 0), \
    coalesce((SELECT max(sequence) FROM receipts), 0)";

impl LogEnds {
    /// Of a log that never had anything.
    pub(crate) const START: Self = Self { position: Position::START, receipt: 0 };

    pub(crate) fn of(log: &Connection) -> rusqlite::Result<Self> {
        let read = |row: &Row<'_>| Ok(Self { position: Position(row.get(0)?), receipt: row.get(1)? });
        log.prepare_cached(ENDS)?.query_row((), read)
    }
}

impl Display for LogEnds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "position {} and receipt number {}", self.position, self.receipt)
    }
}

/// The writing end of the log file.
pub(crate) struct Log {
    connection: Connection,
    path: PathBuf,
    identity: Uuid,
    scratch: Vec<u8>,
    trimming: ReceiptTrimming,
}

impl Log {
    /// Opens a file of one of these kinds. If there is nothing in it, and one may be made, it makes one of the first.
    pub(crate) fn open(path: &Path, kinds: &[LogKind], mode: OpenMode) -> Result<Self, SqliteError> {
        let failed = SqliteError::sqlite(path);
        let mut connection = open_unchanged(path, 4 * 1024).map_err(&failed)?;
        // Until this has been looked at, nothing is written to the file.
        check_schema(&connection, path, kinds)?;
        if is_empty(&connection).map_err(&failed)? {
            if !mode.create {
                return Err(SqliteError::NotAStore(path.to_owned()));
            }
            if !mode.accept_loss {
                loss::refuse_views_of_another(path, None)?;
            }
        }
        prepare_to_write(&connection, "full").map_err(&failed)?;
        if bring_up(&mut connection, kinds[0]).map_err(&failed)? {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            tracing::info!(path = %path.display(), "made a new store");
        }
        let identity = identity(&connection).map_err(failed)?;
        let trimming = ReceiptTrimming::default();
        Ok(Self { connection, path: path.to_owned(), identity, scratch: Vec::new(), trimming })
    }

    /// For whoever reads beside the writer, in its thread.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn identity(&self) -> Uuid {
        self.identity
    }

    pub(crate) fn end(&self) -> Result<Position, SqliteError> {
        end(&self.connection).map_err(SqliteError::sqlite(&self.path))
    }

    pub(crate) fn event_id_at(&self, position: Position) -> Result<Option<Uuid>, SqliteError> {
        event_id_at(&self.connection, position).map_err(SqliteError::sqlite(&self.path))
    }

    /// Begins a transaction, which [`commit`](Self::commit) makes durable.
    ///
    /// # Errors
    /// After an error, here or in anything up to the commit, the caller must [roll back](Self::roll_back).
    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        Ok(())
    }

    /// The same, if the log still ends where the last commit has left it. If its write-ahead log or the index of that was written
    /// over, SQLite would go on from an earlier end, over what was acknowledged.
    pub(crate) fn begin_at(&self, expected: LogEnds) -> rusqlite::Result<()> {
        self.begin()?;
        let found = LogEnds::of(&self.connection)?;
        if found == expected {
            return Ok(());
        }
        Err(malformed(format!("it ends at {found}, and was last written to up to {expected}")))
    }

    /// Adds appends, each from its position on.
    pub(crate) fn insert<'a>(
        &mut self,
        appends: impl Iterator<Item = (Position, &'a Append)>,
    ) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(row::INSERT)?;
        for (first_position, append) in appends {
            for (event, nth) in append.events.iter().zip(0..) {
                let (position, version) = (first_position.plus(nth), append.expected_version.plus(1 + nth));
                let row = Covered::new(position, &append.order_id, version, event);
                row::insert(&mut insert, &row, &mut self.scratch)?;
            }
        }
        Ok(())
    }

    /// Makes everything since [`begin`](Self::begin) durable.
    pub(crate) fn commit(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }

    /// Takes back what a failed transaction has left open.
    pub(crate) fn roll_back(&self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }

    /// Copies what is left in the write-ahead log into the file, so that the next commit starts it from its beginning.
    /// The helper has done most of it, so this is short; a reader in the way leaves it for the next time.
    pub(crate) fn copy_wal(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
    }

    /// Has closing it change nothing: see [`LogDamage`](crate::sqlite::state::LogDamage).
    pub(crate) fn leave_alone_when_closed(&self) {
        if let Err(error) = leave_alone_when_closed(&self.connection) {
            tracing::warn!(%error, "the write-ahead log may be copied into the damaged log");
        }
    }
}

/// What tells the log from every other.
pub(crate) fn identity(log: &Connection) -> rusqlite::Result<Uuid> {
    log.query_row("SELECT identity FROM log", (), |row| row.get(0)).map(Uuid::from_bytes)
}

/// The last position.
pub(crate) fn end(log: &Connection) -> rusqlite::Result<Position> {
    let end = "SELECT coalesce(max(position), 0) FROM events";
    log.query_row(end, (), |row| row.get(0)).map(Position)
}

/// The id of the event at a position.
pub(crate) fn event_id_at(log: &Connection, position: Position) -> rusqlite::Result<Option<Uuid>> {
    let id = "SELECT id FROM events WHERE position = ?1";
    Ok(log.query_row(id, [position.0], |row| row.get(0)).optional()?.map(Uuid::from_bytes))
}

/// Whether the file is one of these kinds that this release can read, or still nothing.
fn check_schema(connection: &Connection, path: &Path, kinds: &[LogKind]) -> Result<(), SqliteError> {
    let failed = SqliteError::sqlite(path);
    if is_empty(connection).map_err(&failed)? {
        return Ok(());
    }
    let pragma =
        |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(&failed);
    match LogKind::of(pragma("application_id")?) {
        Some(kind) if kinds.contains(&kind) => {}
        Some(LogKind::Copying) => return Err(SqliteError::Copying(path.to_owned())),
        Some(LogKind::Replica) => return Err(SqliteError::Replica(path.to_owned())),
        Some(LogKind::Store) => return Err(SqliteError::NotAReplica(path.to_owned())),
        None => return Err(SqliteError::NotAStore(path.to_owned())),
    }
    if let Some(what) = LogSchema::mismatch(connection).map_err(&failed)? {
        return Err(SqliteError::Corrupt { path: path.to_owned(), what });
    }
    let schema = LogSchema::of(connection).map_err(failed)?;
    if schema.oldest_compatible > schema.version {
        let what = "which releases may open it cannot be read".to_owned();
        return Err(SqliteError::Corrupt { path: path.to_owned(), what });
    }
    if schema.is_open_to_this_release() {
        return Ok(());
    }
    Err(SqliteError::Newer { path: path.to_owned(), found: schema.version, known: LogSchema::known() })
}

/// The same for those who only read: they can neither fill an empty file nor migrate an older one.
pub(crate) fn check_log(connection: &Connection, path: &Path, kinds: &[LogKind]) -> Result<(), SqliteError> {
    if is_empty(connection).map_err(SqliteError::sqlite(path))? {
        return Err(SqliteError::NotAStore(path.to_owned()));
    }
    check_schema(connection, path, kinds)?;
    let found = LogSchema::of(connection).map_err(SqliteError::sqlite(path))?.version;
    if found < LogSchema::known() {
        return Err(SqliteError::Older { path: path.to_owned(), found, known: LogSchema::known() });
    }
    Ok(())
}

/// The declaration of each table, by its name.
pub(crate) fn schema_text(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The declarations that a log has to have; none are known of a later release's.
pub(crate) fn declared_schema(log: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    if LogSchema::of(log)?.version > LogSchema::known() {
        return Ok(BTreeMap::new());
    }
    schema_text(&migrations::in_memory()?)
}

/// Whether nothing was ever written to it.
pub(crate) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))
}

/// Makes the tables of an empty file, or those that a release after the file's has added. Answers whether it was empty.
fn bring_up(connection: &mut Connection, kind: LogKind) -> rusqlite::Result<bool> {
    let is_new = is_empty(connection)?;
    let found = if is_new { 0 } else { LogSchema::of(connection)?.version };
    if found >= LogSchema::known() {
        return Ok(false);
    }
    let transaction = connection.transaction()?;
    migrations::migrate(&transaction, found)?;
    if is_new {
        transaction.pragma_update(None, "application_id", kind.application_id())?;
    }
    transaction.commit()?;
    if !is_new {
        tracing::info!(from = found, to = LogSchema::known(), "migrated the log");
    }
    Ok(is_new)
}
