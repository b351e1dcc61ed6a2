//! All views rebuilt, beside instances in service, by one process at a time.
//!
//! A pass goes over the log in the order of the orders' keys. What is appended meanwhile carries its own row; but an older
//! release may have made it, so the log is followed from where the pass began until no such row is left
//! (`order_service.log.outdated_from`). A pass that is killed leaves rows that are right as far as it came; the next begins
//! anew.

use std::sync::Arc;
use std::time::Duration;

use order_application::{Candidate, HolderWatch, Lease, StoreError};
use tokio::time::{Instant, sleep};
use tokio_postgres::Error;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::log_wide;
use super::repair::{BATCH_DEADLINE, Ghosts, MAX_ORDERS, repair};
use crate::postgres::database::{Database, Parameter};
use crate::postgres::log_state::state_of_finished;
use crate::postgres::prepare::expect_projection;
use crate::postgres::row::bigint;
use crate::postgres::statement_failure::unreadable;
use crate::postgres::{PostgresStore, Progress, ServerFailure, loss, pages, projection};
use crate::postgres_error::{PostgresError, PostgresFault};
use crate::rebuild_report::RebuildReport;

/// The lease's name among the checkpoints.
const LEASE: &str = "views";
/// How long the others wait for a process that died.
const TERM: Duration = Duration::from_secs(15);
/// How long the command waits for a process that has the lease for a moment or that died, and how often it asks.
const LEASE_PATIENCE: Duration = Duration::from_secs(30);
const LEASE_PAUSE: Duration = Duration::from_millis(200);
/// One reads and writes rows, the other keeps the lease.
const CONNECTIONS: usize = 2;

/// Positions that are gone over with one look at the log.
const STEP: i64 = 500;
/// How often the log may have grown while it was followed. Each time there is less to follow.
const MAX_ROUNDS: usize = 50;

const OUTDATED: &str = "SELECT projection, outdated_from, older_repairs FROM order_service.log";

/// What there is under keys between two numbers: orders, and rows of views.
const KEYS: &str = "\
    SELECT e.order_key FROM order_service.events e WHERE e.order_key > $1 AND e.order_key <= $2 \
    UNION SELECT o.key FROM order_service.orders o WHERE o.key > $1 AND o.key <= $2";

/// Orders with events between two positions whose rows an older projection made.
const OUTDATED_KEYS: &str = "\
    SELECT DISTINCT e.order_key FROM order_service.events e LEFT JOIN order_service.orders o ON o.key = e.order_key \
    WHERE e.position > $1 AND e.position <= $2 AND (o.key IS NULL OR o.projection < $3)";

impl PostgresStore {
    /// Rebuilds all views of the database at `url`, beside instances that serve from it, and says what it did. `progress`
    /// is told events done and events in all. Dropping the future stops it: what is made is made.
    ///
    /// # Errors
    /// [`PostgresFault::ViewsBusy`] while another process does it, [`PostgresFault::Lost`] where views know of more than the log;
    /// [`PostgresError`] when the database cannot be used.
    pub async fn rebuild(
        url: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<RebuildReport, PostgresError> {
        let database = Arc::new(Database::open(url, CONNECTIONS, BATCH_DEADLINE)?);
        let rebuilding = rebuild(&database, progress);
        rebuilding.await.map_err(|fault| fault.at(database.address()))
    }
}

async fn rebuild(database: &Arc<Database>, progress: Progress<'_>) -> Result<RebuildReport, PostgresFault> {
    let mut connection = database.connect().await?;
    expect_projection(&connection, state_of_finished(&connection).await?).await?;
    loss::refuse(&mut connection).await?;
    drop(connection);
    let refused = |error: StoreError| {
        let why = ServerFailure::for_good(error.to_string());
        PostgresFault::Refused { doing: "rebuild views", why }
    };
    let lease = claim_soon(&candidate(database)).await.map_err(refused)?;
    let lease = lease.ok_or(PostgresFault::ViewsBusy)?;
    let before = outdated(database).await.map_err(refused)?;
    let rebuilt = Rebuild::new(database, &lease, before).everything(progress).await;
    lease.give_back().await;
    rebuilt.map_err(refused)
}

/// This process, as one that may rebuild all views. The lease spares work; what is made is right without it.
#[expect(clippy::disallowed_methods, reason = "names a holder of this lease, and is seen nowhere else")]
pub(super) fn candidate(database: &Arc<Database>) -> Candidate {
    let holder = Uuid::now_v7().to_string().into();
    Candidate { checkpoints: Arc::clone(database) as _, name: LEASE.into(), holder, term: TERM }
}

async fn claim_soon(candidate: &Candidate) -> Result<Option<Lease>, StoreError> {
    let deadline = Instant::now() + LEASE_PATIENCE;
    let mut watch = HolderWatch::default();
    loop {
        let lease = candidate.claim(&mut watch).await?;
        if lease.is_some() || Instant::now() >= deadline {
            return Ok(lease);
        }
        sleep(LEASE_PAUSE).await;
    }
}

/// What the database says of rows that an older projection made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated {
    /// A newer release than this has made rows, and minds those that are older than its own.
    pub(crate) is_newer_releases: bool,
    /// From which position on events may have led to such rows. `None`: there are none, or a newer release minds them.
    pub(super) from: Option<i64>,
    /// How often older releases had repaired rows by then.
    repairs: i64,
}

/// To be asked before a pass begins.
pub(crate) async fn outdated(database: &Database) -> Result<Outdated, StoreError> {
    let row = database.query_one(OUTDATED, &[]).await?;
    let read = || -> Result<Outdated, Error> {
        let (made_by, from): (i32, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let from = from.filter(|_| made_by == projection());
        Ok(Outdated { is_newer_releases: made_by > projection(), from, repairs: row.try_get(2)? })
    };
    read().map_err(|error| unreadable(&error))
}

/// Which orders are gone over.
#[derive(Clone, Copy)]
enum Scope {
    /// All that begin between two positions, and rows of no order that are there.
    All,
    /// Those with events between two positions whose rows an older projection made.
    Outdated,
}

/// Rebuilds all views, or those of orders with events from a position on.
pub(super) struct Rebuild<'a> {
    database: &'a Database,
    lease: &'a Lease,
    /// How often older releases had repaired rows before.
    repairs_before: i64,
    report: RebuildReport,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(database: &'a Database, lease: &'a Lease, before: Outdated) -> Self {
        Self { database, lease, repairs_before: before.repairs, report: RebuildReport::default() }
    }

    /// Goes over all orders, and follows what comes meanwhile.
    pub(super) async fn everything(mut self, progress: Progress<'_>) -> Result<RebuildReport, StoreError> {
        let began = self.log_end().await?;
        let total = began.cast_unsigned();
        self.go_over(Scope::All, i64::MIN, 0).await?;
        self.in_steps(Scope::All, 0, began, &mut |events| progress(events.min(total), total)).await?;
        // What was placed meanwhile has its row, but no other row may be among them.
        let end = self.log_end().await?;
        self.in_steps(Scope::All, began, end, &mut |_| {}).await?;
        self.go_over(Scope::All, end, i64::MAX).await?;
        for step in log_wide::steps(end) {
            self.check_lease()?;
            step.run(self.database).await?;
        }
        let report = self.report;
        self.follow(began).await?;
        progress(total, total);
        Ok(report)
    }

    /// Goes over orders of an older projection with events after a position, until there are none.
    pub(super) async fn follow(&mut self, after: i64) -> Result<(), StoreError> {
        let mut followed = after;
        for _ in 0..MAX_ROUNDS {
            let end = self.log_end().await?;
            self.in_steps(Scope::Outdated, followed, end, &mut |_| {}).await?;
            followed = end;
            // Without an answer, all is to be gone over again.
            if self.is_done(followed).await? != Some(false) {
                return Ok(());
            }
        }
        // Where to go on is in the database.
        Ok(())
    }

    async fn in_steps(
        &mut self,
        scope: Scope,
        mut after: i64,
        end: i64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), StoreError> {
        while after < end {
            let up_to = end.min(after.saturating_add(STEP));
            self.go_over(scope, after, up_to).await?;
            progress(self.report.events);
            after = up_to;
        }
        Ok(())
    }

    /// Goes over orders between two positions, past those of which the server cannot read which they are.
    async fn go_over(&mut self, scope: Scope, after: i64, up_to: i64) -> Result<(), StoreError> {
        self.check_lease()?;
        let positions = up_to.saturating_sub(after);
        match self.keys(scope, after, up_to).await {
            Ok(keys) => {
                for batch in keys.chunks(MAX_ORDERS) {
                    repair(self.database, batch, Ghosts::Deleted, &mut self.report).await?;
                }
            }
            // There is no end to halving what is outside of the log.
            Err(StoreError::Corrupt(_)) if (2..=STEP).contains(&positions) => {
                let middle = after.midpoint(up_to);
                Box::pin(self.go_over(scope, after, middle)).await?;
                Box::pin(self.go_over(scope, middle, up_to)).await?;
            }
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(
                    after,
                    up_to,
                    why,
                    "cannot tell which orders are there; their views are left as they are"
                );
                if positions == 1 {
                    self.report.orders += 1;
                    self.report.unreadable += 1;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        if self.lease.is_lost() {
            return Err(StoreError::Unavailable("another process rebuilds the views".to_owned()));
        }
        Ok(())
    }

    async fn keys(&self, scope: Scope, after: i64, up_to: i64) -> Result<Vec<i64>, StoreError> {
        let parameters: [Parameter<'_>; 3] =
            [(&after, Type::INT8), (&up_to, Type::INT8), (&projection(), Type::INT4)];
        let rows = match scope {
            Scope::All => self.database.query(KEYS, &parameters[..2]).await?,
            Scope::Outdated => self.database.query(OUTDATED_KEYS, &parameters).await?,
        };
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| unreadable(&error))
    }

    async fn is_done(&self, followed: i64) -> Result<Option<bool>, StoreError> {
        let done = "SELECT order_service.views_followed_v1($1, $2, $3)";
        let parameters: [Parameter<'_>; 3] =
            [(&followed, Type::INT8), (&projection(), Type::INT4), (&self.repairs_before, Type::INT8)];
        self.database.query_value(done, &parameters).await
    }

    async fn log_end(&self) -> Result<i64, StoreError> {
        Ok(bigint(pages::log_end(self.database).await?.0))
    }
}
