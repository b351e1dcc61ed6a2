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

const LOAD: &str = "SELECT position, evidence FROM checkpoints WHERE name = ?1 AND position IS NOT NULL";

const LOAD_ALL: &str =
    "SELECT name, position, evidence FROM checkpoints WHERE position IS NOT NULL ORDER BY name";

impl Log {
    /// Gives the next holder of a lease its number.
    pub(crate) fn new_epoch(&self, name: &str) -> rusqlite::Result<Epoch> {
        let epoch = |row: &Row<'_>| row.get::<_, i64>(0);
        let epoch = self.connection.prepare_cached(NEW_EPOCH)?.query_row([name], epoch)?;
        Ok(Epoch(epoch.cast_unsigned()))
    }

    /// The number of the lease's last holder.
    pub(crate) fn epoch(&self, name: &str) -> rusqlite::Result<Option<Epoch>> {
        let epoch = |row: &Row<'_>| row.get::<_, i64>(0);
        let epoch = self.connection.prepare_cached(EPOCH)?.query_row([name], epoch).optional()?;
        Ok(epoch.map(|epoch| Epoch(epoch.cast_unsigned())))
    }

    /// Saves a checkpoint, if this is still the last epoch.
    pub(crate) fn save_checkpoint(
        &self,
        name: &str,
        epoch: Epoch,
        checkpoint: &Checkpoint,
    ) -> rusqlite::Result<bool> {
        let saved = self.connection.prepare_cached(SAVE)?.execute(params![
            name,
            epoch.0.cast_signed(),
            checkpoint.position.0.cast_signed(),
            checkpoint.evidence,
        ])?;
        Ok(saved == 1)
    }

    /// Saves a checkpoint, whoever has the lease.
    pub(crate) fn put_checkpoint(&self, name: &str, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
        let position = checkpoint.position.0.cast_signed();
        self.connection.prepare_cached(PUT)?.execute(params![name, position, checkpoint.evidence])?;
        Ok(())
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
    let position = Position(row.get::<_, i64>(index)?.cast_unsigned());
    Ok(Checkpoint { position, evidence: row.get(index + 1)? })
}
