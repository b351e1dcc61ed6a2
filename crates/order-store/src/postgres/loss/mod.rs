//! Whether something in the database knows of events that the log does not have. Looked at before anybody serves from it.
//!
//! Tables are restored one by one, so a dump that failed at the events leaves a database that looks like a shop without
//! orders, with views, receipts and checkpoints of all that was in it. Whoever served from it would give positions once more,
//! answer commands from receipts of orders that are not there, and write over the last trace of what was lost.
//!
//! | file | holds |
//! |---|---|
//! | `kinds.rs` | what there is to be told |
//! | `views.rs`, `receipts.rs` | rows of views, and receipts, held against the log |
//! | `accepting.rs` | what becomes of what knows of more, if the loss is accepted |
//!
//! What nothing else knows of cannot be noticed, as after a failover to a standby that lagged: that is a whole database, of
//! an earlier moment.

mod accepting;
mod kinds;
mod receipts;
mod views;

use deadpool_postgres::Transaction;
use order_application::Position;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, IsolationLevel};

use super::database::Database;
use super::pages::LOG_END;
use super::row::number;
use super::statement_failure::is_about_rows;
use super::times::zone_start;
use super::{PostgresFault, refused};
use crate::postgres::servers::Object;

pub use kinds::PostgresLoss;
pub(super) use receipts::lost_event;
pub(super) use views::{TracedOrder, lost_orders};

/// Rows are few, and each is found by an index: no plan that was made for a small log may go through a large one.
const PLANS: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL enable_memoize = off; SET LOCAL jit = off";

const CHECKPOINTS_AHEAD: &str =
    "SELECT name, position FROM order_service.checkpoints WHERE position > $1 ORDER BY name";

const LAST_ZONE: &str = "SELECT max(zone) FROM order_service.log_times";

/// Refuses a database that has lost something. If that is accepted, what knows of more gives way, and all of it is told.
pub(super) async fn check(database: &Database, accept: bool) -> Result<(), PostgresFault> {
    let losses = find(&mut database.connect().await?).await?;
    if accept {
        tracing::warn!(
            "--accept-loss is set: leave it out once the store is as it should be, or the next loss is accepted, too"
        );
        return accepting::accept(database, losses).await;
    }
    told(losses)
}

/// The same for whoever only makes views anew. Times alone prove nothing, since no checksum covers them, and are made anew as well.
pub(super) async fn refuse(connection: &mut Object) -> Result<(), PostgresFault> {
    let losses = find(connection).await?;
    let are_times = losses.iter().all(|loss| matches!(loss, PostgresLoss::TimesAhead { .. }));
    if are_times { Ok(()) } else { told(losses) }
}

fn told(losses: Vec<PostgresLoss>) -> Result<(), PostgresFault> {
    if losses.is_empty() { Ok(()) } else { Err(PostgresFault::Lost(losses)) }
}

/// All that tells that something was lost.
pub(super) async fn find(connection: &mut Object) -> Result<Vec<PostgresLoss>, PostgresFault> {
    let mut losses = Vec::new();
    for witness in [Witness::Views, Witness::Followers, Witness::Receipts, Witness::Times] {
        match witness.losses(connection).await {
            Ok(found) => losses.extend(found),
            // Where the server cannot read a page, nothing follows from it. Whoever comes by says so.
            Err(error) if error.code().is_some_and(is_about_rows) => {
                tracing::warn!(?witness, %error, "whether the log has lost events cannot be told by this");
            }
            Err(error) => return Err(refused("be read")(error)),
        }
    }
    Ok(losses)
}

/// What may know of more than the log.
#[derive(Debug, Clone, Copy)]
enum Witness {
    Views,
    Followers,
    Receipts,
    Times,
}

impl Witness {
    /// What it tells, at one moment.
    async fn losses(self, connection: &mut Object) -> Result<Vec<PostgresLoss>, Error> {
        let snapshot = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let snapshot = snapshot.read_only(true).start().await?;
        snapshot.batch_execute(PLANS).await?;
        let end = Position(number(&snapshot.query_typed_one(LOG_END, &[]).await?, 0)?);
        Ok(match self {
            Self::Views => Vec::from_iter(views::losses(&snapshot, end).await?),
            Self::Followers => lost_by_followers(&snapshot, end).await?,
            Self::Receipts => Vec::from_iter(receipts::losses(&snapshot).await?),
            Self::Times => Vec::from_iter(lost_by_times(&snapshot, end).await?),
        })
    }
}

/// Checkpoints beyond the log's end.
pub(super) async fn lost_by_followers(
    snapshot: &Transaction<'_>,
    end: Position,
) -> Result<Vec<PostgresLoss>, Error> {
    let rows = snapshot.query_typed(CHECKPOINTS_AHEAD, &[(&end.0.cast_signed(), Type::INT8)]).await?;
    let ahead = rows.iter().map(|row| {
        let position = Position(number(row, 1)?);
        Ok(PostgresLoss::CheckpointAhead { name: row.try_get::<_, String>(0)?.into(), position, end })
    });
    ahead.collect()
}

async fn lost_by_times(snapshot: &Transaction<'_>, end: Position) -> Result<Option<PostgresLoss>, Error> {
    let last: Option<i64> = snapshot.query_typed_one(LAST_ZONE, &[]).await?.try_get(0)?;
    // The first zone is there once there is any event.
    let first = last.map(|zone| Position(zone_start(zone).max(1).cast_unsigned()));
    Ok(first.filter(|first| *first > end).map(|first| PostgresLoss::TimesAhead { first, end }))
}
