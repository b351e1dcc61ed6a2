//! The schema, and how it comes about: forward-only migrations, each once, all that are missing in one transaction, under a
//! lock that ends with it.
//!
//! Two releases may serve from one database. Each migration names the oldest schema version whose releases may still run
//! with it, and only a release that is older than that refuses the database. So a migration adds (tables, columns with a
//! default, functions under new names); what takes away comes a release later, when nobody uses it any more, and names the
//! version that stopped using it.

use deadpool_postgres::Object;
use tokio::time::{Duration, Instant};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::database::BACKOFF;

/// A step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) sql: &'static str,
    /// Releases that know the schema up to this version go on serving with it.
    pub(super) oldest_compatible: i64,
}

/// Every migration, in order; its version is its place, from 1. One that has been released is never changed.
const MIGRATIONS: [Migration; 3] = [
    Migration { sql: include_str!("migrations/0001_log_and_views.sql"), oldest_compatible: 1 },
    Migration { sql: include_str!("migrations/0002_append.sql"), oldest_compatible: 2 },
    Migration { sql: include_str!("migrations/0003_views.sql"), oldest_compatible: 3 },
];

/// Begins a migration, with a lock that keeps instances that start at once from migrating at once. A migration that waits for a
/// lock has everybody else wait behind it, so it gives up soon and lets them pass. A schema that the database's owner made
/// beforehand is as good: then this role needs no right to make one.
const BEGIN: &str = "
    SET LOCAL lock_timeout = '2s';
    SET LOCAL statement_timeout = 0;
    SELECT pg_advisory_xact_lock(1869767781);
    DO $$ BEGIN
        IF to_regnamespace('order_service') IS NULL THEN CREATE SCHEMA order_service; END IF;
    END $$;
    CREATE TABLE IF NOT EXISTS order_service.migrations (
        version bigint PRIMARY KEY,
        -- Releases that know the schema up to this version may run with it.
        oldest_compatible bigint NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )";

/// How long it is tried again for.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Where a database stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Schema {
    /// How many migrations it has had; 0: there is no store.
    pub(super) version: usize,
    /// The oldest schema version whose releases may run with it.
    pub(super) oldest_compatible: usize,
}

/// What [`PostgresStore::migrate`](super::PostgresStore::migrate) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; 0 if there was none.
    pub from: usize,
    /// And after. It is a newer release's if it is higher than [`known`](Self::known).
    pub to: usize,
    /// The version up to which this release knows the schema.
    pub known: usize,
}

/// The version up to which this release knows the schema.
pub(super) fn known() -> usize {
    migrations().count()
}

fn migrations() -> impl Iterator<Item = Migration> {
    #[cfg(feature = "planted-faults")]
    let planted = super::planted_faults::migration();
    #[cfg(not(feature = "planted-faults"))]
    let planted = None;
    MIGRATIONS.into_iter().chain(planted)
}

/// How far the database has been migrated.
pub(super) async fn find(connection: &Object) -> Result<Schema, Error> {
    let there = "SELECT to_regclass('order_service.migrations') IS NOT NULL";
    let there: bool = connection.query_typed_one(there, &[]).await?.try_get(0)?;
    if !there {
        return Ok(Schema::default());
    }
    let newest = "SELECT coalesce(max(version), 0)::bigint, coalesce(max(oldest_compatible), 0)::bigint \
                  FROM order_service.migrations";
    let row = connection.query_typed_one(newest, &[]).await?;
    let number =
        |index| row.try_get::<_, i64>(index).map(|number| usize::try_from(number).unwrap_or_default());
    Ok(Schema { version: number(0)?, oldest_compatible: number(1)? })
}

/// Runs what is missing. Says what the version was and what it is.
pub(super) async fn migrate(connection: &mut Object) -> Result<Migrated, Error> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    let mut backoff = BACKOFF;
    loop {
        match migrate_once(connection).await {
            Err(error) if may_pass(&error) && backoff.wait_before(deadline).await => {
                tracing::info!(%error, "the migration could not get a lock and is tried again");
            }
            outcome => return outcome,
        }
    }
}

/// Somebody had what the migration needed.
fn may_pass(error: &Error) -> bool {
    matches!(error.code(), Some(state) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(state))
}

async fn migrate_once(connection: &mut Object) -> Result<Migrated, Error> {
    let transaction = connection.build_transaction().start().await?;
    transaction.batch_execute(BEGIN).await?;
    let newest = "SELECT coalesce(max(version), 0)::bigint FROM order_service.migrations";
    let newest: i64 = transaction.query_typed_one(newest, &[]).await?.try_get(0)?;
    let from = usize::try_from(newest).unwrap_or_default();
    for (Migration { sql, oldest_compatible }, version) in migrations().zip(1_i64..).skip(from) {
        transaction.batch_execute(sql).await?;
        let row = "INSERT INTO order_service.migrations (version, oldest_compatible) VALUES ($1, $2)";
        transaction.execute_typed(row, &[(&version, Type::INT8), (&oldest_compatible, Type::INT8)]).await?;
    }
    transaction.commit().await?;
    let known = known();
    Ok(Migrated { from, to: from.max(known), known })
}
