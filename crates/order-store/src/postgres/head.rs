//! The head of the log, held by a transaction of the client's.
//!
//! The usual append takes the head inside its one call, and no client is waited for meanwhile. Twice it pays to take it
//! first: when an order must be read and decided on without anybody coming in between ([`turn`](super::turn)), and when
//! other instances want the head too, so that whoever waits for it may as well gather more appends
//! ([`writer`](super::writer)).

use std::time::Duration;

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

const TAKE: &str = "SELECT order_service.take_head()";

/// Begins a transaction and takes the head; says how long it waited for it. Statements that are sent before this has
/// answered are run after it.
pub(super) async fn take(connection: &Object) -> Result<Duration, Error> {
    let (begun, taken) = join(connection.batch_execute(BEGIN), connection.query_typed_one(TAKE, &[])).await;
    begun?;
    let waited: i64 = taken?.try_get(0)?;
    Ok(Duration::from_micros(waited.cast_unsigned()))
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
