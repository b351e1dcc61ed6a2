//! The schema, and how it comes about: forward-only migrations, each once, under a lock that ends with its transaction.

use deadpool_postgres::Object;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

/// Every migration, in order; its version is its place, from 1. One that has been released is never changed.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/0001_log_and_views.sql"), include_str!("migrations/0002_append.sql")];

/// Keeps instances that start at once from migrating at once.
const MIGRATION_LOCK: i64 = 1_869_767_781;

/// Where a database stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SchemaVersion(pub(super) usize);

impl SchemaVersion {
    /// What this release knows.
    pub(super) const KNOWN: Self = Self(MIGRATIONS.len());
}

/// How far the database has been migrated.
pub(super) async fn version(connection: &Object) -> Result<SchemaVersion, Error> {
    let there = "SELECT to_regclass('order_service.migrations') IS NOT NULL";
    let there: bool = connection.query_typed_one(there, &[]).await?.try_get(0)?;
    if !there {
        return Ok(SchemaVersion(0));
    }
    let newest = "SELECT coalesce(max(version), 0)::bigint FROM order_service.migrations";
    let newest: i64 = connection.query_typed_one(newest, &[]).await?.try_get(0)?;
    Ok(SchemaVersion(usize::try_from(newest).unwrap_or_default()))
}

/// Runs what is missing, all in one transaction. Says how many migrations that were.
pub(super) async fn migrate(connection: &mut Object) -> Result<usize, Error> {
    let transaction = connection.build_transaction().start().await?;
    let lock: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[(&MIGRATION_LOCK, Type::INT8)];
    transaction.query_typed("SELECT pg_advisory_xact_lock($1)", lock).await?;
    // A schema that the database's owner made beforehand is as good: then this role needs no right to make one.
    let schema = "SELECT to_regnamespace('order_service') IS NOT NULL";
    if !transaction.query_typed_one(schema, &[]).await?.try_get::<_, bool>(0)? {
        transaction.batch_execute("CREATE SCHEMA order_service").await?;
    }
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS order_service.migrations (
                 version bigint PRIMARY KEY,
                 applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
             )",
        )
        .await?;
    let newest = "SELECT coalesce(max(version), 0)::bigint FROM order_service.migrations";
    let newest: i64 = transaction.query_typed_one(newest, &[]).await?.try_get(0)?;
    let missing = MIGRATIONS.iter().zip(1_i64..).skip(usize::try_from(newest).unwrap_or_default());
    let mut run = 0;
    for (migration, version) in missing {
        transaction.batch_execute(migration).await?;
        let row = "INSERT INTO order_service.migrations (version) VALUES ($1)";
        transaction.execute_typed(row, &[(&version, Type::INT8)]).await?;
        run += 1;
    }
    transaction.commit().await?;
    Ok(run)
}
