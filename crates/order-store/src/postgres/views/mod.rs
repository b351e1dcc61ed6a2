//! What is done for views while the store serves: rows that were found damaged are repaired, and all views are rebuilt after
//! an upgrade.
//!
//! Each instance repairs the rows that it finds damaged, which is safe however many do it. To rebuild all views is for one at
//! a time, under a lease ([`rebuild`]).

mod beyond_end;
mod folding;
mod log_wide;
mod rebuild;
mod repair;
mod terms;
mod write;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::{Candidate, HolderWatch, Position, StoreError, ViewsState, ViewsStatus};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::database::Database;
use crate::rebuild_report::RebuildReport;
use rebuild::{Rebuild, candidate};
use repair::{Ghosts, MAX_ORDERS, repair};

pub(super) use beyond_end::delete_beyond_end;
pub(super) use rebuild::outdated;
pub(super) use repair::BATCH_DEADLINE;

/// How often it looks whether another release has written rows, and tries again what failed.
const PERIOD: Duration = Duration::from_secs(5);
/// Most orders that wait to be repaired. More are found again by whoever reads them, and by the scrubber.
const MAX_WAITING: usize = 10_000;

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
    status: ViewsStatus,
}

const OUTDATED: &str = "an earlier release made them";

impl Repairs {
    /// Looks whether there is anything to rebuild.
    pub(super) async fn new(database: &Database) -> Result<Self, StoreError> {
        let repairs = Self::default();
        if outdated(database).await?.from.is_some() {
            repairs.state().status = rebuilding(OUTDATED);
        }
        Ok(repairs)
    }

    /// Has these rows repaired, soon.
    pub(super) fn ask_for(&self, damaged: impl IntoIterator<Item = Position>, why: &str) {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.extend(damaged.into_iter().take(MAX_WAITING.saturating_sub(before)));
        if state.waiting.len() == before {
            return;
        }
        tracing::warn!(
            why,
            waiting = state.waiting.len(),
            "rows of views are damaged and are being repaired"
        );
        state.status = rebuilding(why);
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn status(&self) -> ViewsStatus {
        self.state().status.clone()
    }

    /// Works for as long as the store is open. `rows` is for reading and writing rows, `leases` for everything short.
    pub(super) async fn run(self: Arc<Self>, rows: Database, leases: Arc<Database>) {
        let (candidate, mut watch) = (candidate(&leases), HolderWatch::default());
        loop {
            let worked = self.work(&rows, &leases, &candidate, &mut watch).await;
            // Of a database that is away nothing is known about its views, and it is told that it is away.
            if let Some(error) = worked.err().filter(|_| !leases.is_away()) {
                tracing::warn!(%error, "views could not be repaired or rebuilt; it is tried again");
                let detail = Some(error.to_string());
                self.state().status =
                    ViewsStatus { state: ViewsState::Failed, detail, ..ViewsStatus::default() };
            }
            let _ = timeout(PERIOD, self.wake.notified()).await;
        }
    }

    /// Until there is nothing to do, or another instance does it.
    async fn work(
        &self,
        rows: &Database,
        leases: &Database,
        candidate: &Candidate,
        watch: &mut HolderWatch,
    ) -> Result<(), StoreError> {
        loop {
            self.repair_waiting(rows).await?;
            let before = outdated(leases).await?;
            let Some(from) = before.from else {
                let mut state = self.state();
                // More may have been found meanwhile.
                if state.waiting.is_empty() {
                    state.status = ViewsStatus::default();
                }
                return Ok(());
            };
            self.state().status = rebuilding(OUTDATED);
            let Some(lease) = candidate.claim(watch).await? else { return Ok(()) };
            let mut rebuild = Rebuild::new(rows, &lease, before);
            let rebuilt = match from {
                ..=1 => self.rebuild_everything(rebuild).await,
                2.. => rebuild.follow(from - 1).await,
            };
            lease.give_back().await;
            rebuilt?;
        }
    }

    async fn rebuild_everything(&self, rebuild: Rebuild<'_>) -> Result<(), StoreError> {
        tracing::info!(why = OUTDATED, "all views are being rebuilt");
        let mut progress = |done, total| {
            let status = &mut self.state().status;
            (status.done, status.total) = (Some(done), Some(total));
        };
        let RebuildReport { events, orders, unreadable } = rebuild.everything(&mut progress).await?;
        tracing::info!(events, orders, unreadable, "all views were rebuilt");
        Ok(())
    }

    async fn repair_waiting(&self, rows: &Database) -> Result<(), StoreError> {
        loop {
            let batch: Vec<Position> = self.state().waiting.iter().take(MAX_ORDERS).copied().collect();
            if batch.is_empty() {
                return Ok(());
            }
            let keys: Vec<i64> = batch.iter().map(|key| key.0.cast_signed()).collect();
            let mut report = RebuildReport::default();
            repair(rows, &keys, Ghosts::KeptIfLost, &mut report).await?;
            tracing::info!(rows = keys.len(), unreadable = report.unreadable, "repaired rows of views");
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
