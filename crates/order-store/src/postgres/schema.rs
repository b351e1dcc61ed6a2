//! The schema, and how it comes about: forward-only migrations, each once, all that are missing in one transaction, under a
//! lock that ends with it.
//!
//! Two releases may serve from one database. Each migration names the oldest schema version whose releases may still run
//! with it, and only a release that is older than that refuses the database. So a migration adds (tables, columns with a
//! default, functions under new names); what takes away comes a release later, when nobody uses it any more, and names the
//! version that stopped using it.

use order_application::error_chain;
use tokio::time::{Duration, Instant};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::database::BACKOFF;
use super::objects::Objects;
use super::servers::Object;
use crate::postgres_error::{PostgresFault, refused};

/// A step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) sql: &'static str,
    /// Releases that know the schema up to this version go on serving with it.
    pub(super) oldest_compatible: i64,
}

/// Every migration, in order; its version is its place, from 1. One that has been released is never changed.
const MIGRATIONS: [Migration; 4] = [
    Migration { sql: include_str!("migrations/0001_log_and_views.sql"), oldest_compatible: 1 },
    Migration { sql: include_str!("migrations/0002_append.sql"), oldest_compatible: 2 },
    Migration { sql: include_str!("migrations/0003_views.sql"), oldest_compatible: 3 },
    Migration { sql: include_str!("migrations/0004_append_to_a_known_log.sql"), oldest_compatible: 3 },
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

/// What [`PostgresStore::migrate`](super::PostgresStore::migrate) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; 0 if there was none.
    pub from: i64,
    /// And after. It is a newer release's if it is higher than [`known`](Self::known).
    pub to: i64,
    /// The version up to which this release knows the schema.
    pub known: i64,
}

/// The version up to which this release knows the schema.
pub(super) fn known() -> i64 {
    migrations().map(|_| 1).sum()
}

fn migrations() -> impl Iterator<Item = Migration> {
    #[cfg(feature = "planted-faults")]
    let planted = super::planted_faults::migration();
    #[cfg(not(feature = "planted-faults"))]
    let planted = None;
    MIGRATIONS.into_iter().chain(planted)
}

/// How many migrations the database has had; 0: there is no store.
///
/// # Errors
/// [`PostgresFault::Newer`] if only newer releases run with it, [`PostgresFault::ForeignSchema`] if it is none of the service's,
/// [`PostgresFault::NotWhole`] if nothing says what its tables are.
pub(super) async fn find(connection: &Object) -> Result<i64, PostgresFault> {
    let objects = Objects::look(connection).await?;
    objects.refuse_foreign()?;
    let (found, needed) = find_newest(connection).await.map_err(refused("tell its schema"))?;
    let known = known();
    if found == 0 && objects.has_tables() {
        let why = "order_service.migrations is missing or has no row, and other tables are there";
        return Err(PostgresFault::NotWhole(why.to_owned()));
    }
    if needed > known { Err(PostgresFault::Newer { found, needed, known }) } else { Ok(found) }
}

/// The schema's version, and the oldest one whose releases may run with it.
pub(super) async fn find_newest(connection: &Object) -> Result<(i64, i64), Error> {
    let there = "SELECT to_regclass('order_service.migrations') IS NOT NULL";
    if !connection.query_typed_one(there, &[]).await?.try_get(0)? {
        return Ok((0, 0));
    }
    let newest = "SELECT coalesce(max(version), 0)::bigint, coalesce(max(oldest_compatible), 0)::bigint \
                  FROM order_service.migrations";
    let row = connection.query_typed_one(newest, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
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

/// Why it was not brought up. What a migration makes is there already only if its row is not.
pub(super) fn not_migrated(error: Error) -> PostgresFault {
    let is_there = [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_FUNCTION, SqlState::DUPLICATE_OBJECT];
    if error.code().is_some_and(|state| is_there.contains(state)) {
        let why = error_chain(&error);
        return PostgresFault::NotWhole(format!("order_service.migrations lacks what has been done: {why}"));
    }
    refused("migrate the schema")(error)
}

/// Somebody had what the migration needed.
fn may_pass(error: &Error) -> bool {
    matches!(error.code(), Some(state) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(state))
}

async fn migrate_once(connection: &mut Object) -> Result<Migrated, Error> {
    let transaction = connection.build_transaction().start().await?;
    transaction.batch_execute(BEGIN).await?;
    let newest = "SELECT coalesce(max(version), 0)::bigint FROM order_service.migrations";
    let from: i64 = transaction.query_typed_one(newest, &[]).await?.try_get(0)?;
    for (version, Migration { sql, oldest_compatible }) in (1..).zip(migrations()) {
        if version <= from {
            continue;
        }
        transaction.batch_execute(sql).await?;
        let row = "INSERT INTO order_service.migrations (version, oldest_compatible) VALUES ($1, $2)";
        transaction.execute_typed(row, &[(&version, Type::INT8), (&oldest_compatible, Type::INT8)]).await?;
    }
    transaction.commit().await?;
    let known = known();
    Ok(Migrated { from, to: from.max(known), known })
}
