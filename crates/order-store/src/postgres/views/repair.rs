//! Rows of views repaired from the log: a batch of orders, read in one snapshot and written if nobody else has.
//!
//! Nothing is locked between reading and writing. In the snapshot a row and its events belong together, since an append
//! writes both in one transaction; a row that is still the one that was seen when it is replaced has had no append since.

use std::sync::Arc;
use std::time::Duration;

use order_application::{OrderView, StoreError};
use tokio::time::sleep;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::folding::fold;
use super::log_wide::{repair_zone, wrong_zones};
use super::terms::{self, TermChanges};
use super::write::{ViewChange, delete, write};
use crate::postgres::database::{Database, NO_DEADLINES};
use crate::postgres::loss::{TracedOrder, lost_orders};
use crate::postgres::projection;
use crate::postgres::row::{
    DamagedView, ORDER_CHECKSUM, ORDER_VERSION, StoredView, order_columns, read_order,
};
use crate::postgres::servers::Object;
use crate::rebuild_report::RebuildReport;

/// Most orders of one batch.
pub(super) const MAX_ORDERS: usize = 200;
/// Nobody waits for a single batch, so it may take its time.
pub(in crate::postgres) const BATCH_DEADLINE: Duration = Duration::from_secs(60);
/// How often a batch is looked at again while others are writing rows of it, and how long those are given.
const MAX_LOOKS: usize = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off";

const ROWS: &str = concat!("SELECT ", order_columns!(), " FROM order_service.orders o WHERE o.key = ANY($1)");

/// The index of the key among the columns.
const KEY: usize = 0;

/// What becomes of rows of no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ghosts {
    /// They are deleted: whoever has this done knows that the log has lost nothing, or accepts that.
    Deleted,
    /// Those stay that are what was written, of orders or of versions that the log does not have: they may be the last trace of
    /// events that it has lost.
    KeptIfLost,
}

/// Makes the rows of a batch of orders what the log makes of them, and adds what there was to a report. Where the server
/// cannot read the rows of an order, that order is left as it is.
pub(super) async fn repair(
    database: &Database,
    keys: &[i64],
    ghosts: Ghosts,
    report: &mut RebuildReport,
) -> Result<(), StoreError> {
    match repair_all(database, keys, ghosts).await {
        Ok(RebuildReport { events, orders, unreadable }) => {
            report.events += events;
            report.orders += orders;
            report.unreadable += unreadable;
            Ok(())
        }
        Err(StoreError::Corrupt(_)) if keys.len() > 1 => {
            let (first, second) = keys.split_at(keys.len() / 2);
            Box::pin(repair(database, first, ghosts, report)).await?;
            Box::pin(repair(database, second, ghosts, report)).await
        }
        Err(StoreError::Corrupt(why)) => {
            tracing::error!(key = ?keys, why, "the rows of an order cannot be read; its view is left as it is");
            report.orders += 1;
            report.unreadable += 1;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Rows that others are writing are looked at again: what is written there is right, unless it is taken back.
async fn repair_all(database: &Database, keys: &[i64], ghosts: Ghosts) -> Result<RebuildReport, StoreError> {
    let repair = |connection: Arc<Object>| async move { repair_once(&connection, keys, ghosts).await };
    for _ in 0..MAX_LOOKS {
        let (report, all_written) = database.retry(BATCH_DEADLINE, repair).await?;
        if all_written {
            return Ok(report);
        }
        sleep(LOOK_PAUSE).await;
    }
    Err(StoreError::Unavailable("others were writing the rows of some orders all the time".to_owned()))
}

/// Says whether all that was wrong has been written.
async fn repair_once(
    connection: &Object,
    keys: &[i64],
    ghosts: Ghosts,
) -> Result<(RebuildReport, bool), Error> {
    let compared = compare(connection, keys, ghosts).await;
    // However it went: nobody else may get a connection with a transaction that is open.
    let ended = connection.batch_execute("ROLLBACK").await;
    let Comparison { report, wrong, ghosts, terms, zones } = compared?;
    ended?;
    let written = if wrong.is_empty() { 0 } else { write(connection, &wrong).await? };
    if !ghosts.is_empty() {
        delete(connection, &ghosts).await?;
    }
    for zone in zones {
        repair_zone(connection, zone).await?;
    }
    let terms_are_right = terms.write(connection).await?;
    Ok((report, written == wrong.len() && terms_are_right))
}

/// What a snapshot has of a batch of orders.
#[derive(Default)]
struct Comparison {
    report: RebuildReport,
    wrong: Vec<ViewChange>,
    /// Keys of rows of no order.
    ghosts: Vec<i64>,
    terms: TermChanges,
    /// Zones of the log whose times are wrong.
    zones: Vec<i64>,
}

async fn compare(snapshot: &Object, keys: &[i64], ghosts: Ghosts) -> Result<Comparison, Error> {
    snapshot.batch_execute(&format!("{SNAPSHOT}; {NO_DEADLINES}")).await?;
    let (mut folded, events) = fold(snapshot, keys).await?;
    let unreadable = folded.values().filter(|order| !order.is_readable()).count() as u64;
    let report = RebuildReport { events, orders: folded.len() as u64, unreadable };
    let terms = terms::compare(snapshot, keys, &folded).await?;
    let zones = wrong_zones(snapshot, keys).await?;
    let mut compared = Comparison { report, terms, zones, ..Comparison::default() };
    let mut traces = Vec::new();
    for row in snapshot.query_typed(ROWS, &[(&keys, Type::INT8_ARRAY)]).await? {
        let key: i64 = row.try_get(KEY)?;
        let Some(order) = folded.remove(&key) else {
            match read_order(&row, 0) {
                Ok(stored) if ghosts == Ghosts::KeptIfLost => {
                    traces.push((key, TracedOrder::of(&stored.view)))
                }
                _ => compared.ghosts.push(key),
            }
            continue;
        };
        let Some(view) = order.view() else { continue };
        let updated_position = order.updated_position;
        if !is_right(&read_order(&row, 0), &view, updated_position) {
            let seen = Some((row.try_get(ORDER_VERSION)?, row.try_get(ORDER_CHECKSUM)?));
            compared.wrong.push(ViewChange { key, seen, view, updated_position });
        }
    }
    let lost = folded.into_iter().filter_map(|(key, order)| {
        Some(ViewChange { key, seen: None, view: order.view()?, updated_position: order.updated_position })
    });
    compared.wrong.extend(lost);
    compared.ghosts.extend(without_lost_orders(snapshot, traces).await?);
    Ok(compared)
}

/// The keys of rows that tell of nothing that the log does not have elsewhere. The others are told, and stay.
async fn without_lost_orders(snapshot: &Object, traces: Vec<(i64, TracedOrder)>) -> Result<Vec<i64>, Error> {
    let lost = lost_orders(snapshot, traces.iter().map(|(_, order)| order.clone()).collect()).await?;
    let (kept, ghosts): (Vec<_>, Vec<_>) = traces.into_iter().partition(|(_, order)| lost.contains(order));
    for (key, TracedOrder { order_id, version }) in kept {
        tracing::error!(
            key,
            %order_id,
            version = version.0,
            "a view is of events that the log does not have, and stays; `order-service verify` tells all that is missing"
        );
    }
    Ok(ghosts.into_iter().map(|(key, _)| key).collect())
}

/// Whether a row is what this release makes of the order, or what a newer one made of it, who knows more.
fn is_right(row: &Result<StoredView, DamagedView>, view: &OrderView, updated_position: i64) -> bool {
    let Ok(StoredView { key: _, view: stored, projection: made_by, updated_position: stored_position }) = row
    else {
        return false;
    };
    if stored_position.0.cast_signed() != updated_position {
        return false;
    }
    let is_of_order = stored.order_id() == view.order_id() && stored.version() == view.version();
    (*made_by > projection() && is_of_order) || (*made_by == projection() && stored == view)
}
