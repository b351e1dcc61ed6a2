//! The log as the target of a copy.

use order_application::{Position, RecordedEvent};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use crate::checksum::Checked;
use crate::copy::NamedCheckpoints;
use crate::sqlite::log::row;
use crate::sqlite::log::{Log, LogKind};
use crate::sqlite_error::OpenError;

/// Only targets have it.
const CREATE_COPY: &str = "
CREATE TABLE copy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source BLOB NOT NULL                   -- identity of the log that this one was copied from
) STRICT;
";

impl Log {
    /// Whether it is an unfinished copy, and of which log it is a copy at all.
    pub(crate) fn copy_state(&self) -> Result<(bool, Option<Uuid>), OpenError> {
        let state = || {
            let id: i64 = self.connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let is_copy = "SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'copy'";
            let source = if self.connection.query_row(is_copy, (), |row| row.get(0))? {
                let source = self.connection.query_row("SELECT source FROM copy", (), |row| row.get(0));
                source.optional()?.map(Uuid::from_bytes)
            } else {
                None
            };
            Ok((LogKind::of(id) == Some(LogKind::Copying), source))
        };
        state().map_err(OpenError::sqlite(&self.path))
    }

    /// Marks an empty log as the unfinished copy of another. No server opens it from now on.
    pub(crate) fn begin_copy(&mut self, source: Uuid) -> Result<(), OpenError> {
        let mut begin = || {
            let transaction = self.connection.transaction()?;
            transaction.execute_batch("DROP TABLE IF EXISTS copy;")?;
            transaction.execute_batch(CREATE_COPY)?;
            transaction.execute("INSERT INTO copy VALUES (1, ?1)", params![source.as_bytes()])?;
            transaction.pragma_update(None, "application_id", LogKind::Copying.application_id())?;
            transaction.commit()
        };
        begin().map_err(OpenError::sqlite(&self.path))
    }

    /// Adds events at their positions, and makes all of them durable, or none.
    pub(crate) fn append_copied(&mut self, events: Vec<RecordedEvent>) -> Result<(), OpenError> {
        let Self { connection, scratch, path, .. } = self;
        let mut append = || {
            let transaction = connection.transaction()?;
            let mut insert = transaction.prepare_cached(row::INSERT)?;
            for event in &events {
                row::insert(&mut insert, &Checked::of(event), scratch)?;
            }
            drop(insert);
            transaction.commit()
        };
        append().map_err(OpenError::sqlite(path))
    }

    /// Puts these checkpoints in the place of all that are there.
    pub(crate) fn replace_checkpoints(&self, checkpoints: &NamedCheckpoints) -> Result<(), OpenError> {
        let replace = || {
            self.begin()?;
            self.connection.execute("DELETE FROM checkpoints", ())?;
            for (name, checkpoint) in checkpoints {
                self.put_checkpoint(name, checkpoint)?;
            }
            self.commit()
        };
        replace().map_err(OpenError::sqlite(&self.path))
    }

    /// How many events there are, whatever their positions.
    pub(crate) fn count(&self) -> Result<u64, OpenError> {
        let count = self.connection.query_row("SELECT count(*) FROM events", (), |row| row.get(0));
        count.map_err(OpenError::sqlite(&self.path))
    }

    /// Lets servers open the log.
    pub(crate) fn finish_copy(&self) -> Result<(), OpenError> {
        let finish = || {
            self.connection.pragma_update(None, "application_id", LogKind::Store.application_id())?;
            self.finish_wal_checkpoint()
        };
        finish().map_err(OpenError::sqlite(&self.path))
    }

    /// The last position with what is there.
    pub(crate) fn last_event(&self) -> Result<(Position, Option<Uuid>), OpenError> {
        let end = self.end()?;
        Ok((end, self.event_id_at(end)?))
    }
}
