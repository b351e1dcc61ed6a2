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

use super::row::number;
use super::{PostgresError, refused};
use crate::copy::CountedEnd;

/// Nobody waits for a single page, so it may take its time.
const PAGE_DEADLINE: Duration = Duration::from_secs(60);

/// As it was at one moment.
async fn end(connection: &Object) -> Result<CountedEnd, PostgresError> {
    let end = "SELECT count(*), coalesce(max(position), 0), \
               (SELECT id FROM order_service.events ORDER BY position DESC LIMIT 1) FROM order_service.events";
    let read = async || -> Result<CountedEnd, Error> {
        let row = connection.query_typed_one(end, &[]).await?;
        Ok(CountedEnd {
            events: number(&row, 0)?,
            log_end: Position(number(&row, 1)?),
            last_event_id: row.try_get(2)?,
        })
    };
    read().await.map_err(refused("be read"))
}
