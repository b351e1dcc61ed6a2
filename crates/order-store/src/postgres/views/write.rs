//! Writing rows of views, each statement in a transaction of its own.

use futures_util::future::join3;
use order_application::OrderView;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::postgres::columns::{column, made_by, parameters, view_columns};
use crate::postgres::database::Parameter;
use crate::postgres::servers::Object;

/// What a crash of the server takes back is noticed again and made again, so nobody waits for the disk. The transaction ends by
/// itself if this machine vanishes before the commit: nobody may keep the log's end.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '1s'; SET LOCAL lock_timeout = '2s'";

/// Keeps appends away for the rest of a transaction.
pub(super) const LOCK_END: &str = "SELECT order_service.lock_log_end_v1()";

const WRITE: &str = "SELECT * FROM order_service.write_views_v1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
const DELETE: &str = "DELETE FROM order_service.orders o \
    WHERE o.key = ANY($1) AND NOT EXISTS (SELECT FROM order_service.events e WHERE e.order_key = o.key)";

/// A view that goes into the table.
#[derive(Debug)]
pub(super) struct ViewChange {
    pub(super) key: i64,
    /// Version and checksum of the row in whose place it goes; `None`: the row is lost.
    pub(super) seen: Option<(i64, Vec<u8>)>,
    pub(super) view: OrderView,
    pub(super) updated_position: i64,
}

/// Puts views in the place of rows that are still what was seen, and says how many.
pub(super) async fn write(connection: &Object, changes: &[ViewChange]) -> Result<usize, Error> {
    let seen = || changes.iter().map(|change| change.seen.as_ref());
    let mut columns = vec![
        column(Type::INT8_ARRAY, changes, |change| change.key),
        column(Type::INT8_ARRAY, seen(), |seen| seen.map(|(version, _)| *version)),
        column(Type::BYTEA_ARRAY, seen(), |seen| seen.map(|(_, checksum)| &checksum[..])),
    ];
    columns.extend(view_columns(changes.iter().map(|change| &change.view)));
    columns.push(column(Type::INT8_ARRAY, changes, |change| change.updated_position));
    columns.push(made_by());
    in_transaction(connection, BEGIN, WRITE, &parameters(&columns)).await
}

/// Deletes rows of orders that the log does not have. Appends are kept away, which may be about to make rows of their own.
pub(super) async fn delete(connection: &Object, keys: &[i64]) -> Result<(), Error> {
    let begin = format!("{BEGIN}; {LOCK_END}");
    in_transaction(connection, &begin, DELETE, &[(&keys, Type::INT8_ARRAY)]).await.map(drop)
}

/// A statement in a transaction of its own, all on its way at once: its locks are held no longer than it runs. Says how many
/// rows it answers with.
pub(super) async fn in_transaction(
    connection: &Object,
    begin: &str,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<usize, Error> {
    let (begun, rows, committed) = join3(
        connection.batch_execute(begin),
        connection.query_typed(sql, parameters),
        connection.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    let rows = rows?;
    committed.map(|()| rows.len())
}
