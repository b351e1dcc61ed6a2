//! A batch of orders whose rows are made anew, whatever passes by itself meanwhile.

use std::time::Duration;

use order_application::StoreError;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::super::database::{Database, Pause, abandon};
use super::super::failure::Failure;
use super::remake::{Orders, Remade, remake};

/// How long a batch may take, with all attempts.
const BATCH_PATIENCE: Duration = Duration::from_secs(60);

const KEYS: &str =
    "SELECT e.position FROM order_service.events e WHERE e.order_id = ANY($1) AND e.version = 1";

/// Makes the rows of single orders anew.
pub(super) async fn mend(
    database: &Database,
    order_ids: &[&str],
    keys: &[i64],
) -> Result<Remade, StoreError> {
    let mut all = keys_of(database, order_ids).await?;
    all.extend(keys);
    remake_soon(database, &Orders::WithKeys(all)).await
}

/// The keys of those of these orders that the log has.
async fn keys_of(database: &Database, order_ids: &[&str]) -> Result<Vec<i64>, StoreError> {
    let rows = database.query(KEYS, &[(&order_ids, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&error))
}

/// Tries again as long as what failed may pass by itself.
pub(super) async fn remake_soon(database: &Database, orders: &Orders) -> Result<Remade, StoreError> {
    let deadline = Instant::now() + BATCH_PATIENCE;
    let mut pause = Pause::new();
    loop {
        let why = match remake_once(database, orders, deadline).await {
            Ok(remade) => return Ok(remade),
            Err(Failure::Refused(error)) => return Err(error),
            Err(Failure::NothingHappened(why) | Failure::Unknown(why)) => why,
        };
        if !pause.before(deadline).await {
            return Err(StoreError::Unavailable(why));
        }
    }
}

async fn remake_once(database: &Database, orders: &Orders, deadline: Instant) -> Result<Remade, Failure> {
    let mut connection = match database.connection().await {
        Err(StoreError::Unavailable(why)) => return Err(Failure::NothingHappened(why)),
        connection => connection.map_err(Failure::Refused)?,
    };
    match timeout_at(deadline, remake(&mut connection, orders)).await {
        Ok(remade) => remade.map_err(|error| Failure::of(&error)),
        Err(_) => {
            // Nobody else may have to wait for the answer.
            abandon(connection);
            Err(Failure::Unknown(database.missed()))
        }
    }
}

/// What an error of the database means for whoever makes rows anew.
pub(super) fn failed(error: &Error) -> StoreError {
    Failure::of(error).into_store_error()
}
