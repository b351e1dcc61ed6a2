//! Checkpoints and the leases on them: one row for each name.
//!
//! All times are the database's, so that clocks of machines do not matter. Each statement changes one row, and waits for
//! whoever changes it at that moment: then it looks at the row anew, so a save is never mixed up with a claim.
//!
//! A statement whose answer got lost is sent again, which does no harm: a holder that claims twice keeps its epoch.

use std::time::Duration;

use async_trait::async_trait;
use order_application::{Checkpoint, Checkpoints, Epoch, Position, StoreError};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::PostgresStore;
use super::database::{Database, Parameter};

macro_rules! claim {
    () => {
        "INSERT INTO order_service.checkpoints AS c (name, holder, epoch, expires_at) \
         VALUES ($1, $2, 1, clock_timestamp() + $3::float8 * interval '1 second') \
         ON CONFLICT (name) DO UPDATE SET \
             holder = excluded.holder, expires_at = excluded.expires_at, \
             epoch = CASE WHEN c.holder = excluded.holder AND c.expires_at > clock_timestamp() \
                          THEN c.epoch ELSE c.epoch + 1 END"
    };
}

/// Takes the lease if it is free, has run out, or is the holder's already; then it gets a new end, and a new epoch unless
/// it was the holder's all the while.
const CLAIM: &str = concat!(
    claim!(),
    " WHERE c.holder = excluded.holder OR c.expires_at <= clock_timestamp() RETURNING epoch"
);

const CLAIM_BY_FORCE: &str = concat!(claim!(), " RETURNING epoch");

const RELEASE: &str = "\
    UPDATE order_service.checkpoints SET holder = NULL, expires_at = '-infinity' \
    WHERE name = $1 AND holder = $2 AND epoch = $3";

const LOAD: &str =
    "SELECT position, evidence FROM order_service.checkpoints WHERE name = $1 AND position IS NOT NULL";

/// For [`read_named`].
pub(super) const LOAD_ALL: &str = "\
    SELECT name, position, evidence FROM order_service.checkpoints WHERE position IS NOT NULL ORDER BY name";

/// A lease that has run out is as good, as long as nobody else has had it.
const SAVE: &str = "\
    UPDATE order_service.checkpoints SET position = $3, evidence = $4 WHERE name = $1 AND epoch = $2 \
    RETURNING epoch";

#[async_trait]
impl Checkpoints for PostgresStore {
    async fn claim(&self, name: &str, holder: &str, term: Duration) -> Result<Option<Epoch>, StoreError> {
        claim(&self.reads, name, holder, term).await
    }

    async fn claim_by_force(&self, name: &str, holder: &str, term: Duration) -> Result<Epoch, StoreError> {
        let epoch = claim_with(&self.reads, CLAIM_BY_FORCE, name, holder, term).await?;
        epoch.ok_or_else(|| StoreError::Corrupt(format!("the lease {name:?} cannot be taken")))
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        release(&self.reads, name, holder, epoch).await
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        let rows = self.reads.query(LOAD, &[(&name, Type::TEXT)]).await?;
        rows.first().map(|row| read(row, 0)).transpose().map_err(|error| corrupt(name, &error))
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        let (epoch, position) = (epoch.0.cast_signed(), checkpoint.position.0.cast_signed());
        let evidence = checkpoint.evidence.as_deref();
        let parameters: [Parameter<'_>; 4] =
            [(&name, Type::TEXT), (&epoch, Type::INT8), (&position, Type::INT8), (&evidence, Type::TEXT)];
        Ok(!self.reads.query(SAVE, &parameters).await?.is_empty())
    }
}

/// See [`Checkpoints::claim`].
pub(super) async fn claim(
    database: &Database,
    name: &str,
    holder: &str,
    term: Duration,
) -> Result<Option<Epoch>, StoreError> {
    claim_with(database, CLAIM, name, holder, term).await
}

/// See [`Checkpoints::release`].
pub(super) async fn release(
    database: &Database,
    name: &str,
    holder: &str,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let epoch = epoch.0.cast_signed();
    let parameters: [Parameter<'_>; 3] = [(&name, Type::TEXT), (&holder, Type::TEXT), (&epoch, Type::INT8)];
    database.query(RELEASE, &parameters).await.map(drop)
}

async fn claim_with(
    database: &Database,
    claim: &str,
    name: &str,
    holder: &str,
    term: Duration,
) -> Result<Option<Epoch>, StoreError> {
    let seconds = term.as_secs_f64();
    let parameters: [Parameter<'_>; 3] =
        [(&name, Type::TEXT), (&holder, Type::TEXT), (&seconds, Type::FLOAT8)];
    let rows = database.query(claim, &parameters).await?;
    let epoch = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
    Ok(epoch.map_err(|error| corrupt(name, &error))?.map(|epoch| Epoch(epoch.cast_unsigned())))
}

/// A checkpoint with its name, as [`LOAD_ALL`] has it.
pub(super) fn read_named(row: &Row) -> Result<(String, Checkpoint), Error> {
    Ok((row.try_get(0)?, read(row, 1)?))
}

/// The columns `position` and `evidence`, the first of them at an index.
fn read(row: &Row, index: usize) -> Result<Checkpoint, Error> {
    let position = Position(row.try_get::<_, i64>(index)?.cast_unsigned());
    let evidence: Option<String> = row.try_get(index + 1)?;
    Ok(Checkpoint { position, evidence: evidence.map(String::into_boxed_str) })
}

fn corrupt(name: &str, error: &Error) -> StoreError {
    StoreError::Corrupt(format!("the checkpoint {name:?}: {error}"))
}
