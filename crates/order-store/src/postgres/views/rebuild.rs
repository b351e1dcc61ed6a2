//! All views made anew, beside instances in service, by one process at a time.
//!
//! A pass goes over the log in the order of the orders' keys. What is appended meanwhile carries its own row; but an older
//! release may have made it, so the log is followed from where the pass began until no such row is left
//! (`order_service.log.outdated_from`). A pass that is killed leaves rows that are right as far as it came; the next begins
//! anew.

use std::time::Duration;

use deadpool_postgres::Object;
use order_application::StoreError;
use tokio::time::timeout;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::super::database::{Database, abandon};
use super::super::failure::Failure;
use super::super::projection;
use super::lease::Lease;
use super::remake::{MAX_ROWS, Orders, Remade, keys_of, remake};
use crate::rebuild_report::RebuildReport;

/// How long a batch may take.
const BATCH_PATIENCE: Duration = Duration::from_secs(60);
/// Positions that are followed with one statement.
const FOLLOWED_POSITIONS: i64 = 1_000;
/// How often the log may have grown while it was followed. Each time there is less to follow.
const MAX_ROUNDS: usize = 50;
/// How often rows that others were writing are looked at again.
const MAX_LOOKS: usize = 5;
/// The highest key of the next orders, and how many those are. A step from key to key, so that an order of ten thousand
/// events costs no more than another.
const NEXT_KEYS: &str = "\
    WITH RECURSIVE k(key) AS ( \
        (SELECT e.order_key FROM order_service.events e WHERE e.order_key > $1 ORDER BY e.order_key LIMIT 1) \
        UNION ALL \
        SELECT (SELECT e.order_key FROM order_service.events e WHERE e.order_key > k.key ORDER BY e.order_key LIMIT 1) \
            FROM k WHERE k.key IS NOT NULL \
    ) \
    SELECT max(l.key), count(l.key) FROM (SELECT k.key FROM k LIMIT $2) l";

const END: &str = "SELECT coalesce(max(position), 0) FROM order_service.events";

const OUTDATED: &str = "SELECT projection, outdated_from FROM order_service.log";

const OUTDATED_KEYS: &str = "\
    SELECT DISTINCT e.order_key FROM order_service.events e LEFT JOIN order_service.orders o ON o.key = e.order_key \
    WHERE e.position > $1 AND e.position <= $2 AND (o.key IS NULL OR o.projection < $3)";

/// Told events done and events in all.
pub(super) type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// From which position on events may have led to rows of an older projection than this release's. `None`: there are none,
/// or a newer release minds them.
pub(super) async fn outdated_from(database: &Database) -> Result<Option<i64>, StoreError> {
    let Some((made_by, from)) = newest_projection(database).await? else { return Ok(None) };
    Ok(from.filter(|_| made_by == projection()))
}

/// Whether a newer release than this has made rows.
pub(super) async fn are_of_newer_release(database: &Database) -> Result<bool, StoreError> {
    Ok(newest_projection(database).await?.is_some_and(|(made_by, _)| made_by > projection()))
}

/// The newest projection that rows are made with, and from which position on events may have led to rows of an older one.
async fn newest_projection(database: &Database) -> Result<Option<(i32, Option<i64>)>, StoreError> {
    let rows = database.query(OUTDATED, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?));
    read().map(Some).map_err(|error| failed(&error))
}

/// Makes all views anew, or those of orders with events from a position on.
pub(super) struct Rebuild<'a> {
    connection: Object,
    lease: Lease<'a>,
    report: RebuildReport,
    /// Keys of rows that somebody else was writing.
    left: Vec<i64>,
}

impl<'a> Rebuild<'a> {
    pub(super) async fn new(database: &Database, lease: Lease<'a>) -> Result<Self, StoreError> {
        let connection = database.connection().await?;
        Ok(Self { connection, lease, report: RebuildReport::default(), left: Vec::new() })
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
        if done.is_err() {
            // It may still have an answer to come.
            abandon(self.connection);
        }
        let released = self.lease.release().await;
        done.and(released).map(|()| self.report)
    }

    async fn pass(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        let began = self.number(END).await?;
        let total = began.cast_unsigned();
        let mut after = i64::MIN;
        while after < i64::MAX {
            let up_to = match self.next(after).await {
                Err(StoreError::Corrupt(_)) if after < began => began.min(after.max(0) + MAX_ROWS as i64),
                next => next?,
            };
            self.between(after, up_to).await?;
            progress(self.report.events.min(total), total);
            after = up_to;
        }
        self.look_again().await?;
        self.follow(began).await?;
        progress(total, total);
        Ok(())
    }

    /// The orders between two keys. Where the server cannot read the rows of one, that order is left as it is.
    async fn between(&mut self, after: i64, up_to: i64) -> Result<(), StoreError> {
        let mut ranges = vec![(after, up_to)];
        while let Some((after, up_to)) = ranges.pop() {
            match self.remake(&Orders::Between(after, up_to)).await {
                Ok(remade) => {
                    self.report.events += remade.events;
                    self.report.orders += remade.orders;
                    self.report.unreadable += remade.unreadable;
                }
                Err(StoreError::Corrupt(why)) if after.checked_add(1) == Some(up_to) => {
                    tracing::error!(
                        key = up_to,
                        why,
                        "the rows of an order cannot be read; its view is left as it is"
                    );
                    self.report.orders += 1;
                    self.report.unreadable += 1;
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

    /// The key up to which the next orders are. The last of them stand for all rows that come later.
    async fn next(&mut self, after: i64) -> Result<i64, StoreError> {
        let limit = MAX_ROWS as i64;
        let parameters = [(&after as _, Type::INT8), (&limit as _, Type::INT8)];
        let row = within_patience(self.connection.query_typed_one(NEXT_KEYS, &parameters)).await?;
        let read = || Ok::<_, Error>((row.try_get::<_, Option<i64>>(0)?, row.try_get::<_, i64>(1)?));
        let (last, orders) = read().map_err(|error| failed(&error))?;
        Ok(last.filter(|_| orders == limit).unwrap_or(i64::MAX))
    }

    /// Rows that others were writing: what they wrote is right, unless they took it back.
    async fn look_again(&mut self) -> Result<(), StoreError> {
        for _ in 0..MAX_LOOKS {
            let left = std::mem::take(&mut self.left);
            for keys in left.chunks(MAX_ROWS) {
                self.remake(&Orders::WithKeys(keys.to_vec())).await?;
            }
        }
        Ok(())
    }

    /// Makes rows of an older projection anew that come of events after a position, until there are none.
    async fn follow(&mut self, after: i64) -> Result<(), StoreError> {
        let mut followed = after;
        for _ in 0..MAX_ROUNDS {
            let end = self.number(END).await?;
            while followed < end {
                let up_to = end.min(followed.saturating_add(FOLLOWED_POSITIONS));
                for keys in self.outdated_keys(followed, up_to).await?.chunks(MAX_ROWS) {
                    self.remake(&Orders::WithKeys(keys.to_vec())).await?;
                }
                followed = up_to;
            }
            self.look_again().await?;
            if self.is_done(followed).await? {
                return Ok(());
            }
        }
        // Where to go on is in the database.
        Ok(())
    }

    async fn outdated_keys(&mut self, after: i64, up_to: i64) -> Result<Vec<i64>, StoreError> {
        let parameters =
            [(&after as _, Type::INT8), (&up_to as _, Type::INT8), (&projection() as _, Type::INT4)];
        let rows = within_patience(self.connection.query_typed(OUTDATED_KEYS, &parameters)).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&error))
    }

    async fn is_done(&mut self, followed: i64) -> Result<bool, StoreError> {
        let done = "SELECT order_service.views_followed_v1($1, $2)";
        let parameters = [(&followed as _, Type::INT8), (&projection() as _, Type::INT4)];
        let row = within_patience(self.connection.query_typed_one(done, &parameters)).await?;
        row.try_get(0).map_err(|error| failed(&error))
    }

    async fn remake(&mut self, orders: &Orders) -> Result<Remade, StoreError> {
        self.lease.keep().await?;
        let remade = within_patience(remake(&mut self.connection, orders)).await?;
        self.left.extend(&remade.left);
        Ok(remade)
    }

    async fn number(&mut self, sql: &str) -> Result<i64, StoreError> {
        let row = within_patience(self.connection.query_typed_one(sql, &[])).await?;
        row.try_get(0).map_err(|error| failed(&error))
    }
}

/// Makes the rows of single orders anew.
pub(super) async fn mend(
    database: &Database,
    order_ids: &[&str],
    keys: &[i64],
) -> Result<Remade, StoreError> {
    let mut connection = database.connection().await?;
    let mending = async {
        let mut all = keys_of(&connection, order_ids).await?;
        all.extend(keys);
        remake(&mut connection, &Orders::WithKeys(all)).await
    };
    match timeout(BATCH_PATIENCE, mending).await {
        Ok(mended) => mended.map_err(|error| failed(&error)),
        Err(_) => {
            abandon(connection);
            Err(StoreError::Unavailable(database.missed()))
        }
    }
}

/// Whoever waits no longer drops the connection: nobody else may have to wait for the answer.
async fn within_patience<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    match timeout(BATCH_PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| failed(&error)),
        Err(_) => Err(StoreError::Unavailable("the database does not answer".to_owned())),
    }
}

fn failed(error: &Error) -> StoreError {
    Failure::of(error).into_store_error()
}
