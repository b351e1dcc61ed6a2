//! PostgreSQL as either side of a copy: see [`crate::copy()`].

mod rows;
mod source;
mod target;

pub(crate) use source::PostgresSource;
pub(crate) use target::PostgresTarget;

use std::time::Duration;

use deadpool_postgres::Object;
use order_application::Position;
use tokio_postgres::Error;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::pages::HEAD;
use super::{PostgresError, refused};
use crate::copy::CountedEnd;

/// Nobody waits for a single page, so it may take its time.
const DEADLINE: Duration = Duration::from_secs(60);

async fn head(connection: &Object) -> Result<Position, PostgresError> {
    let read = async || connection.query_typed_one(HEAD, &[]).await?.try_get::<_, i64>(0);
    Ok(Position(read().await.map_err(refused("be read"))?.cast_unsigned()))
}

async fn event_id_at(connection: &Object, position: Position) -> Result<Option<Uuid>, PostgresError> {
    let id = "SELECT id FROM order_service.events WHERE position = $1";
    let position = position.0.cast_signed();
    let row = connection.query_typed_opt(id, &[(&position, Type::INT8)]).await;
    let read = |row: Result<Option<tokio_postgres::Row>, Error>| row?.map(|row| row.try_get(0)).transpose();
    read(row).map_err(refused("be read"))
}

/// As it was at one moment.
async fn end(connection: &Object) -> Result<CountedEnd, PostgresError> {
    let end = "SELECT count(*), coalesce(max(position), 0), \
               (SELECT id FROM order_service.events ORDER BY position DESC LIMIT 1) FROM order_service.events";
    let read = async || -> Result<CountedEnd, Error> {
        let row = connection.query_typed_one(end, &[]).await?;
        Ok(CountedEnd {
            events: row.try_get::<_, i64>(0)?.cast_unsigned(),
            log_end: Position(row.try_get::<_, i64>(1)?.cast_unsigned()),
            last_event_id: row.try_get(2)?,
        })
    };
    read().await.map_err(refused("be read"))
}
