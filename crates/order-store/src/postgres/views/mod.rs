//! Views that are made anew while the store serves: those that were found damaged, and all of them after an upgrade.
//!
//! Each instance mends what it finds by itself, which is safe however many do it. To go over all views is for one at a time,
//! under a lease ([`lease`], [`rebuild`]).

mod folding;
mod lease;
mod rebuild;
mod remake;
mod write;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::{HolderWatch, Position, StoreError, ViewsState, ViewsStatus};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::database::Database;
use super::log_state::state_of_finished;
use super::prepare::{connect, expect_projection};
use super::{PostgresError, PostgresStore};
use crate::rebuild_report::RebuildReport;
use lease::Lease;
use rebuild::Rebuild;
pub(super) use rebuild::outdated;
use remake::{MAX_ROWS, Orders, of_position, remake_readable};

/// How often it is looked whether another release has written rows that are to be made anew, and what failed is tried again.
const PERIOD: Duration = Duration::from_secs(5);
/// Most orders that wait to be mended. Beyond that all views are made anew.
const MAX_WAITING: usize = 10_000;
/// Nobody waits for a single batch, so it may take its time.
pub(super) const BATCH_DEADLINE: Duration = Duration::from_secs(60);
/// One reads and writes rows, the other keeps the lease.
const REBUILD_CONNECTIONS: usize = 2;

/// What is wrong with the views of this store, as far as this instance knows.
#[derive(Default)]
pub(super) struct Repairs {
    state: Mutex<RepairState>,
    wake: Notify,
}

#[derive(Default)]
struct RepairState {
    /// Keys of orders whose rows are damaged.
    waiting: HashSet<Position>,
    /// All views are to be made anew, and why.
    all: Option<String>,
    status: ViewsStatus,
}

impl RepairState {
    /// All is done, unless more has been found meanwhile.
    fn end(&mut self) {
        if self.waiting.is_empty() && self.all.is_none() {
            self.status = ViewsStatus::default();
        }
    }
}

const OUTDATED: &str = "an earlier release made them";

impl Repairs {
    /// Looks whether there is anything to make anew.
    pub(super) async fn new(database: &Database) -> Result<Self, StoreError> {
        let repairs = Self::default();
        if outdated(database).await?.from.is_some() {
            repairs.state().status = rebuilding(OUTDATED);
        }
        Ok(repairs)
    }

    /// Has these rows made anew, soon.
    pub(super) fn ask_for(&self, damaged: impl IntoIterator<Item = Position>, why: &str) {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.extend(damaged);
        if state.waiting.len() == before {
            return;
        }
        tracing::warn!(why, waiting = state.waiting.len(), "views are damaged and are being made anew");
        state.status = rebuilding(why);
        if state.waiting.len() > MAX_WAITING {
            state.waiting.clear();
            state.all = Some(why.to_owned());
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn status(&self) -> ViewsStatus {
        self.state().status.clone()
    }

    /// Mends for as long as the store is open. `rows` is for reading and writing rows, `leases` for everything short.
    pub(super) async fn run(self: Arc<Self>, rows: Database, leases: Arc<Database>) {
        let mut watch = HolderWatch::default();
        loop {
            if let Err(error) = self.work(&rows, &leases, &mut watch).await {
                tracing::warn!(%error, "views could not be made anew; it is tried again");
                let detail = Some(error.to_string());
                self.state().status =
                    ViewsStatus { state: ViewsState::Failed, detail, ..ViewsStatus::default() };
            }
            let _ = timeout(PERIOD, self.wake.notified()).await;
        }
    }

    /// Until there is nothing to do.
    async fn work(
        &self,
        rows: &Database,
        leases: &Database,
        watch: &mut HolderWatch,
    ) -> Result<(), StoreError> {
        loop {
            self.mend_waiting(rows).await?;
            // A request that comes from now on is the next round's.
            let all = self.state().all.take();
            let made_anew = self.make_anew(all.as_deref(), rows, leases, watch).await;
            if made_anew != Ok(true) {
                let mut state = self.state();
                state.all = state.all.take().or(all);
                return made_anew.map(drop);
            }
        }
    }

    /// Says whether it did anything: nothing may be to do, or another instance does it.
    async fn make_anew(
        &self,
        all: Option<&str>,
        rows: &Database,
        leases: &Database,
        watch: &mut HolderWatch,
    ) -> Result<bool, StoreError> {
        let outdated = outdated(leases).await?;
        let (why, from) = match (all, outdated.from) {
            (Some(why), _) => (why, 1),
            (None, Some(from)) => (OUTDATED, from),
            (None, None) => {
                self.state().end();
                return Ok(false);
            }
        };
        self.state().status = rebuilding(why);
        let Some(lease) = Lease::claim(leases, watch).await? else { return Ok(false) };
        let rebuild = Rebuild::new(rows, lease, outdated);
        if from > 1 {
            rebuild.from(from).await?;
        } else {
            self.everything(rebuild, why).await?;
        }
        Ok(true)
    }

    async fn everything(&self, rebuild: Rebuild<'_>, why: &str) -> Result<(), StoreError> {
        tracing::info!(why, "all views are being made anew");
        let mut progress = |done, total| {
            let status = &mut self.state().status;
            (status.done, status.total) = (Some(done), Some(total));
        };
        let RebuildReport { events, orders, unreadable } = rebuild.everything(&mut progress).await?;
        tracing::info!(events, orders, unreadable, "all views were made anew");
        Ok(())
    }

    async fn mend_waiting(&self, rows: &Database) -> Result<(), StoreError> {
        loop {
            let batch: Vec<Position> = self.state().waiting.iter().take(MAX_ROWS).copied().collect();
            if batch.is_empty() {
                return Ok(());
            }
            let orders = Orders::with_keys(batch.iter().copied().map(of_position).collect());
            let mended = remake_readable(rows, orders, None).await?;
            tracing::info!(rows = mended.written, deleted = mended.deleted, "made views anew");
            let mut state = self.state();
            for key in &batch {
                state.waiting.remove(key);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, RepairState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rebuilding(why: &str) -> ViewsStatus {
    ViewsStatus { state: ViewsState::Rebuilding, detail: Some(why.to_owned()), done: Some(0), total: Some(0) }
}

impl PostgresStore {
    /// Makes all views of the database at `url` anew, beside instances that serve from it, and says what it did. `progress`
    /// is told events done and events in all. Dropping the future stops it: what is made is made.
    ///
    /// # Errors
    /// [`PostgresError::ViewsBusy`] while another process does it; [`PostgresError`] when the database cannot be used.
    pub async fn rebuild(
        url: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<RebuildReport, PostgresError> {
        let database = Database::open(url, REBUILD_CONNECTIONS, BATCH_DEADLINE)?;
        let connection = connect(&database).await?;
        expect_projection(&connection, state_of_finished(&connection).await?).await?;
        drop(connection);
        let refused =
            |error: StoreError| PostgresError::Refused { doing: "make views anew", why: error.to_string() };
        let lease = Lease::claim_soon(&database).await.map_err(refused)?.ok_or(PostgresError::ViewsBusy)?;
        let before = outdated(&database).await.map_err(refused)?;
        let rebuild = Rebuild::new(&database, lease, before);
        rebuild.everything(progress).await.map_err(refused)
    }
}
