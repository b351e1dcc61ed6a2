//! Checkpoints and the leases on them: one row for each name.
//!
//! No time is kept or compared here. Each statement changes one row, and waits for whoever changes it at that moment: then it
//! looks at the row anew, so a save is never mixed up with a claim, and of two standbys one gets the lease.
//!
//! A statement whose answer got lost is sent again, which does no harm: a holder that claims twice keeps its epoch.

use async_trait::async_trait;
use order_application::{Beat, Checkpoint, Checkpoints, Claim, Epoch, Position, StoreError};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::PostgresStore;
use super::database::{Database, Parameter};
use super::row::number;

/// Takes the lease if it is free, the holder's already, or of one whose last beat is the one that is named. It gets a new
/// epoch unless it was the holder's all the while.
const CLAIM: &str = "\
    INSERT INTO order_service.checkpoints AS c (name, holder, epoch, beat) VALUES ($1, $2, 1, 1) \
    ON CONFLICT (name) DO UPDATE SET \
        holder = excluded.holder, beat = c.beat + 1, \
        epoch = CASE WHEN c.holder = excluded.holder THEN c.epoch ELSE c.epoch + 1 END \
    WHERE c.holder IS NULL OR c.holder = excluded.holder OR c.beat = $3 \
    RETURNING epoch";

const BEAT: &str = "SELECT beat FROM order_service.checkpoints WHERE name = $1";

const RELEASE: &str = "\
    UPDATE order_service.checkpoints SET holder = NULL \
    WHERE name = $1 AND holder = $2 AND epoch = $3";

const LOAD: &str =
    "SELECT position, evidence FROM order_service.checkpoints WHERE name = $1 AND position IS NOT NULL";

/// For [`read_named`].
pub(super) const LOAD_ALL: &str = "\
    SELECT name, position, evidence FROM order_service.checkpoints WHERE position IS NOT NULL ORDER BY name";

/// A lease that was given back is as good, as long as nobody else has had it.
const SAVE: &str = "\
    UPDATE order_service.checkpoints SET position = $3, evidence = $4 WHERE name = $1 AND epoch = $2 \
    RETURNING epoch";

#[async_trait]
impl Checkpoints for PostgresStore {
    async fn claim(&self, name: &str, holder: &str, last_seen: Option<Beat>) -> Result<Claim, StoreError> {
        self.reads.claim(name, holder, last_seen).await
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        self.reads.release(name, holder, epoch).await
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.reads.load(name).await
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        self.reads.save(name, epoch, checkpoint).await
    }
}

#[async_trait]
impl Checkpoints for Database {
    async fn claim(&self, name: &str, holder: &str, last_seen: Option<Beat>) -> Result<Claim, StoreError> {
        let beat = last_seen.map(|beat| beat.0.cast_signed());
        let parameters: [Parameter<'_>; 3] =
            [(&name, Type::TEXT), (&holder, Type::TEXT), (&beat, Type::INT8)];
        if let Some(row) = self.query(CLAIM, &parameters).await?.first() {
            let epoch = number(row, 0).map_err(|error| corrupt(name, &error))?;
            return Ok(Claim::Granted(Epoch(epoch)));
        }
        let beat: i64 = self.query_value(BEAT, &parameters[..1]).await?;
        Ok(Claim::Held(Beat(beat.cast_unsigned())))
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        let epoch = epoch.0.cast_signed();
        let parameters: [Parameter<'_>; 3] =
            [(&name, Type::TEXT), (&holder, Type::TEXT), (&epoch, Type::INT8)];
        self.query(RELEASE, &parameters).await.map(drop)
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        let rows = self.query(LOAD, &[(&name, Type::TEXT)]).await?;
        rows.first().map(|row| read(row, 0)).transpose().map_err(|error| corrupt(name, &error))
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        let (epoch, position) = (epoch.0.cast_signed(), checkpoint.position.0.cast_signed());
        let evidence = checkpoint.evidence.as_deref();
        let parameters: [Parameter<'_>; 4] =
            [(&name, Type::TEXT), (&epoch, Type::INT8), (&position, Type::INT8), (&evidence, Type::TEXT)];
        Ok(!self.query(SAVE, &parameters).await?.is_empty())
    }
}

/// A checkpoint with its name, as [`LOAD_ALL`] has it.
pub(super) fn read_named(row: &Row) -> Result<(String, Checkpoint), Error> {
    Ok((row.try_get(0)?, read(row, 1)?))
}

/// The columns `position` and `evidence`, the first of them at an index.
fn read(row: &Row, index: usize) -> Result<Checkpoint, Error> {
    let position = Position(number(row, index)?);
    let evidence: Option<String> = row.try_get(index + 1)?;
    Ok(Checkpoint { position, evidence: evidence.map(String::into_boxed_str) })
}

fn corrupt(name: &str, error: &Error) -> StoreError {
    StoreError::Corrupt(format!("the checkpoint {name:?}: {error}"))
}
