//! Checkpoints of those who follow the log. What changes them belongs between [`begin`](Log::begin) and
//! [`commit`](Log::commit).

use order_application::{Checkpoint, Epoch, Position};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::copy::NamedCheckpoints;
use crate::sqlite::log::Log;

const NEW_EPOCH: &str = "INSERT INTO checkpoints (name, epoch) VALUES (?1, 1) \
    ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch";

const EPOCH: &str = "SELECT epoch FROM checkpoints WHERE name = ?1";

const SAVE: &str = "UPDATE checkpoints SET position = ?3, evidence = ?4 WHERE name = ?1 AND epoch = ?2";

/// Whoever brings events needs no lease: nobody else does.
const PUT: &str = "INSERT INTO checkpoints (name, epoch, position, evidence) VALUES (?1, 0, ?2, ?3) \
    ON CONFLICT (name) DO UPDATE SET position = excluded.position, evidence = excluded.evidence";

const FORGET_AFTER: &str = "UPDATE checkpoints SET position = NULL, evidence = NULL WHERE position > ?1";

const LOAD: &str = "SELECT position, evidence FROM checkpoints WHERE name = ?1 AND position IS NOT NULL";

const LOAD_ALL: &str =
    "SELECT name, position, evidence FROM checkpoints WHERE position IS NOT NULL ORDER BY name";

impl Log {
    /// Gives the next holder of a lease its number.
    pub(crate) fn new_epoch(&self, name: &str) -> rusqlite::Result<Epoch> {
        self.connection.prepare_cached(NEW_EPOCH)?.query_row([name], |row| row.get(0)).map(Epoch)
    }

    /// The number of the lease's last holder.
    pub(crate) fn epoch(&self, name: &str) -> rusqlite::Result<Option<Epoch>> {
        let epoch = self.connection.prepare_cached(EPOCH)?.query_row([name], |row| row.get(0));
        Ok(epoch.optional()?.map(Epoch))
    }

    /// Saves a checkpoint, if this is still the last epoch.
    pub(crate) fn save_checkpoint(
        &self,
        name: &str,
        epoch: Epoch,
        checkpoint: &Checkpoint,
    ) -> rusqlite::Result<bool> {
        let Checkpoint { position, evidence } = checkpoint;
        let mut save = self.connection.prepare_cached(SAVE)?;
        Ok(save.execute(params![name, epoch.0, position.0, evidence])? == 1)
    }

    /// Saves a checkpoint, whoever has the lease.
    pub(crate) fn put_checkpoint(&self, name: &str, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
        let Checkpoint { position, evidence } = checkpoint;
        self.connection.prepare_cached(PUT)?.execute(params![name, position.0, evidence])?;
        Ok(())
    }

    /// Forgets checkpoints beyond a position, whose followers then begin anew. Answers with how many there were.
    pub(crate) fn forget_checkpoints_after(&self, end: Position) -> rusqlite::Result<usize> {
        self.connection.execute(FORGET_AFTER, [end.0])
    }
}

/// All that were ever saved.
pub(crate) fn load_all(log: &Connection) -> rusqlite::Result<NamedCheckpoints> {
    let mut statement = log.prepare(LOAD_ALL)?;
    statement.query_map((), |row| Ok((row.get(0)?, read(row, 1)?)))?.collect()
}

/// A checkpoint as it was committed last.
pub(crate) fn load(log: &Connection, name: &str) -> rusqlite::Result<Option<Checkpoint>> {
    log.prepare_cached(LOAD)?.query_row([name], |row| read(row, 0)).optional()
}

/// The columns `position` and `evidence`, the first of them at an index.
fn read(row: &Row<'_>, index: usize) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint { position: Position(row.get(index)?), evidence: row.get(index + 1)? })
}
