//! The head of the log, held by a transaction of the client's.
//!
//! The usual append takes the head inside its one call, and no client is waited for meanwhile. Only a
//! [`turn`](super::turn) takes it first: an order is read and decided on without anybody coming in between.

use deadpool_postgres::Object;
use futures_util::future::join;
use order_application::Append;
use tokio_postgres::Error;

use super::batch::{self, Appended};

/// The transaction ends by itself if this process is stopped in the middle of it: nobody may keep the head. There is no
/// limit for statements: it would also end the wait for a synchronous standby, and call that a success.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL lock_timeout = '2s'; \
    SET LOCAL idle_in_transaction_session_timeout = '1s'";

const TAKE: &str = "SELECT order_service.take_head_v1()";

/// Begins a transaction and takes the head. Statements that are sent before this has answered are run after it.
pub(super) async fn take(connection: &Object) -> Result<(), Error> {
    let (begun, taken) = join(connection.batch_execute(BEGIN), connection.query_typed_one(TAKE, &[])).await;
    begun?;
    taken.map(|_| ())
}

/// Appends and commits, in one round trip.
pub(super) async fn append_and_commit(connection: &Object, appends: &[&Append]) -> Result<Appended, Error> {
    let (appended, committed) =
        join(batch::append(connection, appends), connection.batch_execute("COMMIT")).await;
    // COMMIT of a transaction in which something failed rolls back, without an error of its own.
    let appended = appended?;
    committed?;
    Ok(appended)
}
