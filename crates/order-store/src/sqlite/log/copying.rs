//! The log as the target of a copy.

use order_application::{Receipt, RecordedEvent};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use crate::checksum::Covered;
use crate::copy::NamedCheckpoints;
use crate::sqlite::log::row;
use crate::sqlite::log::{Log, LogKind};

/// Only targets have it.
const CREATE_COPY: &str = "
CREATE TABLE copy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source BLOB NOT NULL                   -- identity of the log that this one was copied from
) STRICT;
";

impl Log {
    /// Whether it is an unfinished copy, and of which log it is a copy at all.
    pub(crate) fn copy_state(&self) -> rusqlite::Result<(bool, Option<Uuid>)> {
        let id: i64 = self.connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let is_copying = LogKind::of(id) == Some(LogKind::Copying);
        let is_copy = "SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'copy'";
        if !self.connection.query_row(is_copy, (), |row| row.get(0))? {
            return Ok((is_copying, None));
        }
        let source = self.connection.query_row("SELECT source FROM copy", (), |row| row.get(0));
        Ok((is_copying, source.optional()?.map(Uuid::from_bytes)))
    }

    /// Marks an empty log as the unfinished copy of another. No server opens it from now on.
    pub(crate) fn begin_copy(&mut self, source: Uuid) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch("DROP TABLE IF EXISTS copy;")?;
        transaction.execute_batch(CREATE_COPY)?;
        transaction.execute("INSERT INTO copy VALUES (1, ?1)", params![source.as_bytes()])?;
        transaction.pragma_update(None, "application_id", LogKind::Copying.application_id())?;
        transaction.commit()
    }

    /// Adds events at their positions, and makes all of them durable, or none.
    pub(crate) fn append_copied(&mut self, events: &[RecordedEvent]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare_cached(row::INSERT)?;
        for event in events {
            row::insert(&mut insert, &Covered::of(event), &mut self.scratch)?;
        }
        drop(insert);
        transaction.commit()
    }

    /// Deletes all receipts.
    pub(crate) fn delete_receipts(&self) -> rusqlite::Result<()> {
        self.connection
            .execute_batch("DELETE FROM receipts; DELETE FROM accepted_losses WHERE what = 'receipts'")
    }

    /// Adds receipts, whose keys have none yet.
    pub(crate) fn add_receipts(&mut self, receipts: &[Receipt]) -> rusqlite::Result<()> {
        self.begin()?;
        for receipt in receipts {
            self.insert_receipt(receipt)?;
        }
        self.commit()
    }

    /// Puts these checkpoints in the place of all that are there.
    pub(crate) fn replace_checkpoints(&self, checkpoints: &NamedCheckpoints) -> rusqlite::Result<()> {
        self.begin()?;
        self.connection.execute("DELETE FROM checkpoints", ())?;
        for (name, checkpoint) in checkpoints {
            self.put_checkpoint(name, checkpoint)?;
        }
        self.commit()
    }

    /// Lets servers open the log.
    pub(crate) fn finish_copy(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "application_id", LogKind::Store.application_id())?;
        self.copy_wal()
    }
}
