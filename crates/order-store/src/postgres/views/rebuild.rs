//! All views made anew, beside instances in service, by one process at a time.
//!
//! A pass goes over the log in the order of the orders' keys. What is appended meanwhile carries its own row; but an older
//! release may have made it, so the log is followed from where the pass began until no such row is left
//! (`order_service.log.outdated_from`). A pass that is killed leaves rows that are right as far as it came; the next begins
//! anew.

use std::time::Duration;

use order_application::StoreError;
use tokio::time::sleep;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::super::database::Database;
use super::super::{Progress, pages, projection};
use super::lease::Lease;
use super::remake::{MAX_ROWS, Orders, Remade, of_position, remake_readable, remake_soon, unreadable};
use crate::rebuild_report::RebuildReport;

/// Positions whose orders are made anew in one snapshot: there are no more orders than that, however many events they have.
const PASSED_POSITIONS: i64 = 500;
/// Positions that are followed with one statement.
const FOLLOWED_POSITIONS: i64 = 1_000;
/// How often the log may have grown while it was followed. Each time there is less to follow.
const MAX_ROUNDS: usize = 50;
/// How often in each round rows that others were writing are looked at again, and how long those are given.
const MAX_LOOKS: usize = 5;
const LOOK_PAUSE: Duration = Duration::from_millis(50);
const OUTDATED: &str = "SELECT projection, outdated_from, older_mends FROM order_service.log";

const OUTDATED_KEYS: &str = "\
    SELECT DISTINCT e.order_key FROM order_service.events e LEFT JOIN order_service.orders o ON o.key = e.order_key \
    WHERE e.position > $1 AND e.position <= $2 AND (o.key IS NULL OR o.projection < $3)";

/// What the database says of rows that an older projection made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated {
    /// A newer release than this has made rows, and minds those that are older than its own.
    pub(crate) is_newer_releases: bool,
    /// From which position on events may have led to such rows. `None`: there are none, or a newer release minds them.
    pub(super) from: Option<i64>,
    /// How often older releases had mended rows by then.
    mends: i64,
}

/// To be asked before a pass begins.
pub(crate) async fn outdated(database: &Database) -> Result<Outdated, StoreError> {
    let row = database.query_one(OUTDATED, &[]).await?;
    let read = || -> Result<Outdated, Error> {
        let (made_by, from): (i32, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let from = from.filter(|_| made_by == projection());
        Ok(Outdated { is_newer_releases: made_by > projection(), from, mends: row.try_get(2)? })
    };
    read().map_err(|error| unreadable(&error))
}

/// Makes all views anew, or those of orders with events from a position on.
pub(super) struct Rebuild<'a> {
    database: &'a Database,
    lease: Lease<'a>,
    /// How often older releases had mended rows before.
    mends_before: i64,
    /// What the pass over all orders came to.
    passed: Remade,
    /// Keys of rows that somebody else was writing.
    left: Vec<i64>,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(database: &'a Database, lease: Lease<'a>, before: Outdated) -> Self {
        let mends_before = before.mends;
        Self { database, lease, mends_before, passed: Remade::default(), left: Vec::new() }
    }

    /// Goes over all orders, and follows what comes meanwhile.
    pub(super) async fn everything(mut self, progress: Progress<'_>) -> Result<RebuildReport, StoreError> {
        let done = self.pass(progress).await;
        self.end(done).await
    }

    /// Goes over the orders with events from a position on.
    pub(super) async fn from(mut self, position: i64) -> Result<RebuildReport, StoreError> {
        let done = self.follow(position - 1).await;
        self.end(done).await
    }

    async fn end(self, done: Result<(), StoreError>) -> Result<RebuildReport, StoreError> {
        let released = self.lease.release().await;
        let Remade { events, orders, unreadable, .. } = self.passed;
        done.and(released).map(|()| RebuildReport { events, orders, unreadable })
    }

    async fn pass(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        let began = self.end_of_log().await?;
        let total = began.cast_unsigned();
        self.outside(i64::MIN, 0).await?;
        self.between(0, began, &mut |events| progress(events.min(total), total)).await?;
        // What was placed meanwhile has its row, but no other row may be among them.
        let end = self.end_of_log().await?;
        self.between(began, end, &mut |_| {}).await?;
        self.outside(end, i64::MAX).await?;
        self.follow(began).await?;
        progress(total, total);
        Ok(())
    }

    /// Rows under keys that no order has. There is no end to halving such a range where the server cannot read it.
    async fn outside(&mut self, after: i64, up_to: i64) -> Result<(), StoreError> {
        self.lease.keep().await?;
        match remake_soon(self.database, &Orders::between(after, up_to)).await {
            Ok(mut remade) => {
                self.left.append(&mut remade.left);
                self.passed.add(&remade);
            }
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(after, up_to, why, "rows that are no order's cannot be looked for");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The orders between two keys that the log may have.
    async fn between(
        &mut self,
        mut after: i64,
        end: i64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), StoreError> {
        while after < end {
            let up_to = end.min(after.saturating_add(PASSED_POSITIONS));
            let remade = self.remake(Orders::between(after, up_to)).await?;
            self.passed.add(&remade);
            progress(self.passed.events);
            after = up_to;
        }
        Ok(())
    }

    async fn remake(&mut self, orders: Orders) -> Result<Remade, StoreError> {
        let mut remade = remake_readable(self.database, orders, Some(&mut self.lease)).await?;
        self.left.append(&mut remade.left);
        Ok(remade)
    }

    /// Rows that others were writing: what they wrote is right, unless they took it back.
    async fn look_again(&mut self) -> Result<(), StoreError> {
        for _ in 0..MAX_LOOKS {
            if self.left.is_empty() {
                return Ok(());
            }
            sleep(LOOK_PAUSE).await;
            let left = std::mem::take(&mut self.left);
            for keys in left.chunks(MAX_ROWS) {
                self.remake(Orders::with_keys(keys.to_vec())).await?;
            }
        }
        Ok(())
    }

    /// Makes rows of an older projection anew that come of events after a position, until there are none.
    async fn follow(&mut self, after: i64) -> Result<(), StoreError> {
        let mut followed = after;
        for _ in 0..MAX_ROUNDS {
            let end = self.end_of_log().await?;
            while followed < end {
                let up_to = end.min(followed.saturating_add(FOLLOWED_POSITIONS));
                self.follow_between(followed, up_to).await?;
                followed = up_to;
            }
            self.look_again().await?;
            // Without an answer, all is to be gone over again.
            if self.left.is_empty() && self.is_done(followed).await? != Some(false) {
                return Ok(());
            }
        }
        match self.left.len() {
            // Where to go on is in the database.
            0 => Ok(()),
            left => Err(StoreError::Unavailable(format!("others were writing {left} rows all the time"))),
        }
    }

    /// What the server cannot read is nobody's to follow.
    async fn follow_between(&mut self, after: i64, up_to: i64) -> Result<(), StoreError> {
        let mut ranges = vec![(after, up_to)];
        while let Some((after, up_to)) = ranges.pop() {
            self.lease.keep().await?;
            match self.outdated_keys(after, up_to).await {
                Ok(keys) => {
                    for keys in keys.chunks(MAX_ROWS) {
                        self.remake(Orders::with_keys(keys.to_vec())).await?;
                    }
                }
                Err(StoreError::Corrupt(why)) if up_to - after <= 1 => {
                    tracing::error!(
                        position = up_to,
                        why,
                        "cannot tell which order the event at this position belongs to; its view is left as it is"
                    );
                }
                Err(StoreError::Corrupt(_)) => {
                    let middle = after.midpoint(up_to);
                    ranges.extend([(middle, up_to), (after, middle)]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn outdated_keys(&self, after: i64, up_to: i64) -> Result<Vec<i64>, StoreError> {
        let parameters =
            [(&after as _, Type::INT8), (&up_to as _, Type::INT8), (&projection() as _, Type::INT4)];
        let rows = self.database.query(OUTDATED_KEYS, &parameters).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| unreadable(&error))
    }

    async fn is_done(&self, followed: i64) -> Result<Option<bool>, StoreError> {
        let done = "SELECT order_service.views_followed_v1($1, $2, $3)";
        let parameters = [
            (&followed as _, Type::INT8),
            (&projection() as _, Type::INT4),
            (&self.mends_before as _, Type::INT8),
        ];
        let row = self.database.query_one(done, &parameters).await?;
        row.try_get(0).map_err(|error| unreadable(&error))
    }

    async fn end_of_log(&self) -> Result<i64, StoreError> {
        Ok(of_position(pages::log_end(self.database).await?))
    }
}
