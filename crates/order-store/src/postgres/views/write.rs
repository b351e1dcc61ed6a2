//! Writing rows of views, each statement in a transaction of its own.

use std::collections::HashSet;

use deadpool_postgres::Object;
use futures_util::future::join3;
use order_application::OrderView;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::super::database::Parameter;
use super::super::projection;
use super::super::view_columns::ViewColumns;

/// What a crash of the server takes back is noticed again and made again, so nobody waits for the disk. The transaction ends by
/// itself if this machine vanishes before the commit: nobody may keep the head.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '1s'";

const REPLACE: &str = "SELECT order_service.replace_views_v1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const RESTORE: &str = "SELECT order_service.restore_views_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const DELETE: &str = "SELECT order_service.delete_views_v1($1)";

/// A view, and the row in whose place it goes.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) key: i64,
    pub(super) seen_version: i64,
    pub(super) seen_checksum: Vec<u8>,
    pub(super) view: OrderView,
}

/// Puts views in the place of rows that are still what was seen, and answers with the keys of those.
pub(super) async fn replace(connection: &Object, changes: &[Replacement]) -> Result<HashSet<i64>, Error> {
    let keys: Vec<i64> = changes.iter().map(|change| change.key).collect();
    let seen_versions: Vec<i64> = changes.iter().map(|change| change.seen_version).collect();
    let seen_checksums: Vec<&[u8]> = changes.iter().map(|change| &change.seen_checksum[..]).collect();
    let views = ViewColumns::of(changes.iter().map(|change| &change.view));
    let seen: [Parameter<'_>; 3] =
        [(&keys, Type::INT8_ARRAY), (&seen_versions, Type::INT8_ARRAY), (&seen_checksums, Type::BYTEA_ARRAY)];
    let made_by: [Parameter<'_>; 1] = [(&projection(), Type::INT4)];
    let parameters: Vec<_> = seen.into_iter().chain(views.parameters()).chain(made_by).collect();
    written_keys(&write(connection, REPLACE, &parameters).await?)
}

/// Adds rows that are lost, and answers with the keys of those that were.
pub(super) async fn restore(connection: &Object, lost: &[(i64, OrderView)]) -> Result<HashSet<i64>, Error> {
    let keys: Vec<i64> = lost.iter().map(|(key, _)| *key).collect();
    let views = ViewColumns::of(lost.iter().map(|(_, view)| view));
    let (first, last): (Parameter<'_>, Parameter<'_>) =
        ((&keys, Type::INT8_ARRAY), (&projection(), Type::INT4));
    let parameters: Vec<_> = [first].into_iter().chain(views.parameters()).chain([last]).collect();
    written_keys(&write(connection, RESTORE, &parameters).await?)
}

/// Deletes rows of orders that the log does not have. Says how many.
pub(super) async fn delete(connection: &Object, keys: &[i64]) -> Result<u64, Error> {
    let deleted = write(connection, DELETE, &[(&keys, Type::INT8_ARRAY)]).await?;
    Ok(deleted.try_get::<_, i64>(0)?.cast_unsigned())
}

fn written_keys(row: &Row) -> Result<HashSet<i64>, Error> {
    Ok(row.try_get::<_, Vec<i64>>(0)?.into_iter().collect())
}

/// One statement in a transaction of its own, all on its way at once: its locks are held no longer than it runs.
async fn write(connection: &Object, sql: &str, parameters: &[Parameter<'_>]) -> Result<Row, Error> {
    let (begun, written, committed) = join3(
        connection.batch_execute(BEGIN),
        connection.query_typed_one(sql, parameters),
        connection.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    let written = written?;
    committed?;
    Ok(written)
}
