//! What is derived of events beyond the log's end, once it is accepted that the log has lost them.

use order_application::StoreError;
use tokio_postgres::types::Type;

use super::log_wide;
use super::repair::{Ghosts, MAX_ORDERS, repair};
use crate::postgres::database::{Database, Parameter};
use crate::postgres::pages;
use crate::postgres::row::bigint;
use crate::postgres::statement_failure::unreadable;
use crate::rebuild_report::RebuildReport;

/// Orders whose last event is said to be beyond a position, from the last one down.
const ORDERS: &str = "SELECT key, updated_position FROM order_service.orders \
    WHERE updated_position > $1 AND updated_position <= $2 ORDER BY updated_position DESC LIMIT $3";

/// Deletes what is of no order, and makes the rest what the log makes of it.
pub(in crate::postgres) async fn delete_beyond_end(database: &Database) -> Result<(), StoreError> {
    let end = bigint(pages::log_end(database).await?.0);
    let (mut up_to, limit) = (i64::MAX, bigint(MAX_ORDERS as u64));
    let mut report = RebuildReport::default();
    while up_to > end {
        let parameters: [Parameter<'_>; 3] = [(&end, Type::INT8), (&up_to, Type::INT8), (&limit, Type::INT8)];
        let rows = database.query(ORDERS, &parameters).await?;
        let found = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let found: Vec<(i64, i64)> =
            found.collect::<Result<_, tokio_postgres::Error>>().map_err(|error| unreadable(&error))?;
        let keys: Vec<i64> = found.iter().map(|(key, _)| *key).collect();
        repair(database, &keys, Ghosts::Deleted, &mut report).await?;
        let Some((_, last)) = found.last() else { break };
        up_to = last - 1;
    }
    for step in log_wide::beyond_end(end) {
        step.run(database).await?;
    }
    Ok(())
}
