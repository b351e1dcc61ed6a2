//! Whether somebody serves from a database, before anything is copied into it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::{Error, Row};

use crate::postgres::servers::Object;
use crate::postgres::{PostgresFault, refused};

/// As long as anybody serves, somebody holds a lease, which is renewed each second. Where a holder has just died, another instance
/// takes its leases within this time.
const WATCHED_FOR: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Leases that anybody has ever had.
const LEASES: &str = "SELECT name, beat FROM order_service.checkpoints WHERE epoch > 0";

/// Who else is connected, ten at most: they are for people to read.
const CONNECTED: &str = "\
    SELECT DISTINCT a.usename::text, host(a.client_addr), a.application_name FROM pg_stat_activity a \
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() \
        AND coalesce(a.backend_type, 'client backend') = 'client backend' \
    ORDER BY 1, 2, 3 LIMIT 10";

/// Refuses a database from which somebody serves. Where nobody ever has, it is told at once.
pub(super) async fn refuse_if_served(connection: &Object) -> Result<(), PostgresFault> {
    let unreadable = refused("show its leases");
    let before = leases(connection).await.map_err(&unreadable)?;
    if before.is_empty() {
        return Ok(());
    }
    let end = Instant::now() + WATCHED_FOR;
    while Instant::now() < end {
        sleep(LOOK_EVERY).await;
        let now = leases(connection).await.map_err(&unreadable)?;
        let renewed = |(name, beat): &(String, i64)| before.get(name) != Some(beat);
        if let Some((lease, _)) = now.into_iter().find(renewed) {
            let connected = connected(connection).await.map_err(unreadable)?;
            return Err(PostgresFault::Served { lease, connected });
        }
    }
    Ok(())
}

async fn leases(connection: &Object) -> Result<HashMap<String, i64>, Error> {
    let rows = connection.query_typed(LEASES, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Who else is connected, as far as this user may know.
async fn connected(connection: &Object) -> Result<Vec<String>, Error> {
    connection.query_typed(CONNECTED, &[]).await?.iter().map(told).collect()
}

fn told(row: &Row) -> Result<String, Error> {
    let user: Option<String> = row.try_get(0)?;
    let (address, application): (Option<String>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
    let mut told = user.unwrap_or_else(|| "somebody".to_owned());
    if let Some(address) = address {
        told += &format!(" from {address}");
    }
    if let Some(application) = application.filter(|application| !application.is_empty()) {
        told += &format!(" ({application})");
    }
    Ok(told)
}
