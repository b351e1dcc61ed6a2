//! The scrubber: compares the views with the log at a configured pace, and has what differs repaired.
//!
//! Views are read to answer and to decide, and most of their damage is noticed then. What nobody reads for a long time is
//! noticed here, and so is what can only be seen beside the log: a row that says something else than its events, or that is
//! missing from a list. A pass goes from the log's start to where the log ended when the pass began, page by page, each
//! over once it is compared; then the next pass begins.
//!
//! Among many instances on one store, the one that holds the lease on the checkpoint `scrub` compares. The checkpoint is
//! where it goes on after a restart.
//!
//! | file | holds |
//! |---|---|
//! | `pass.rs` | going through the log, past what cannot be read |
//! | `stretch.rs` | comparing the orders of one page, and what is beyond all pages |
//! | `look.rs` | one order, as its events make it and as its view shows it |
//! | `pace.rs` | how fast |
//! | `status.rs` | how it goes |

mod look;
mod pace;
mod pass;
mod status;
mod stretch;

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use order_domain::OrderId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::event::Position;
use crate::lease::{Candidate, HolderWatch, Lease};
use crate::ports::checkpoints::{Checkpoint, Checkpoints};
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::order_views::OrderViews;
use crate::ports::view_repair::{ViewRepair, ViewsState};

pub use status::{ScrubState, ScrubStatus};

use pace::Pace;
use pass::Pass;
use stretch::{Difference, beyond_the_end};

/// The name of the scrubber's checkpoint and of its lease.
const CHECKPOINT: &str = "scrub";

/// What differs is logged this often in one pass; the rest is counted. If all views are wrong, one line says as much as a
/// million.
const MOST_TOLD: u64 = 100;

/// How long a pass takes at least. A small log would otherwise be compared all the time.
const SHORTEST_PASS: Duration = Duration::from_secs(60);
/// How long its lease lasts if nobody renews it.
const LEASE_TERM: Duration = Duration::from_secs(30);
/// The waits after errors of the store, at most.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How often the checkpoint is saved while it moves: what is compared again after a crash.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// How often it looks whether the views are made.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Compares one store's views with its log.
pub struct Scrubber {
    lease: Candidate,
    ports: ScrubberPorts,
    rate: NonZeroU32,
    status: watch::Sender<ScrubStatus>,
}

/// What a scrubber needs of its surroundings: one store, by what it can do.
#[derive(Clone)]
pub struct ScrubberPorts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// What is compared with it.
    pub views: Arc<dyn OrderViews>,
    /// Where it keeps how far it has come.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// What repairs the views.
    pub repair: Arc<dyn ViewRepair>,
}

impl Scrubber {
    /// A scrubber that compares `rate` events a second. `holder` is a name that no other instance has.
    pub fn new(holder: &str, ports: ScrubberPorts, rate: NonZeroU32) -> Self {
        let (status, _) = watch::channel(ScrubStatus::default());
        let checkpoints = Arc::clone(&ports.checkpoints);
        let (name, holder) = (CHECKPOINT.into(), holder.into());
        let lease = Candidate { checkpoints, name, holder, term: LEASE_TERM };
        Self { lease, ports, rate, status }
    }

    /// How it goes, now and later.
    pub fn status(&self) -> watch::Receiver<ScrubStatus> {
        self.status.subscribe()
    }

    /// Compares until `stop`; then it saves how far it has come and gives its lease back.
    pub async fn run(&self, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        while !stop.is_cancelled() {
            let Err(error) = self.attempt(&stop).await else { continue };
            let went_on_before = self.failed(&error);
            if went_on_before {
                backoff.reset();
            }
            stop.run_until_cancelled(sleep(backoff.next_wait())).await;
        }
    }

    /// Waits for the lease, and compares while it is held and all goes well.
    async fn attempt(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        self.log_is_whole().await?;
        let Some(lease) = stop.run_until_cancelled(self.wait_for_lease()).await else { return Ok(()) };
        let lease = lease?;
        let mut pass = Pass::new(self.saved().await?, self.ports.log.end().await?);
        let lost = lease.lost_token();
        let compare = lost.run_until_cancelled(self.compare_all(&lease, &mut pass));
        let failed = stop.run_until_cancelled(compare).await.flatten();
        // Nothing depends on it: what is not saved is compared again, and a lease runs out.
        if let Err(error) = self.save(&lease, &pass).await {
            tracing::debug!(%error, "the scrubber could not save how far it has come");
        }
        lease.give_back().await;
        match failed {
            Some(Err(error)) => Err(error),
            None => Ok(()),
        }
    }

    async fn wait_for_lease(&self) -> Result<Lease, StoreError> {
        let mut watch = HolderWatch::default();
        loop {
            if let Some(lease) = self.lease.claim(&mut watch).await? {
                return Ok(lease);
            }
            let position = self.saved().await?;
            let of = self.ports.log.end().await?;
            let state = ScrubState::Standby;
            self.tell(|now| ScrubStatus { state, position, of, faults_in_pass: 0, detail: None, ..now });
            sleep(self.lease.period()).await;
        }
    }

    async fn saved(&self) -> Result<Position, StoreError> {
        Ok(self.ports.checkpoints.load(&self.lease.name).await?.unwrap_or_default().position)
    }

    /// Saves how far it has come, unless another has had the lease.
    async fn save(&self, lease: &Lease, pass: &Pass) -> Result<bool, StoreError> {
        let checkpoint = Checkpoint { position: pass.resume_after(), evidence: None };
        self.ports.checkpoints.save(&self.lease.name, lease.epoch, &checkpoint).await
    }

    /// Compares pass after pass.
    async fn compare_all(&self, lease: &Lease, pass: &mut Pass) -> Result<Infallible, StoreError> {
        let mut pace = Pace::new(self.rate);
        loop {
            if self.must_wait().await? {
                self.show(ScrubState::Waiting, pass);
                sleep(LOOK_EVERY).await;
                continue;
            }
            let Some((reached, differences)) = pass.compare_next(&self.ports, pace.page()).await? else {
                self.complete(pass).await?;
                continue;
            };
            // It was for nothing if a newer release has come meanwhile.
            if !differences.is_empty() && self.ports.repair.are_of_newer_release().await? {
                continue;
            }
            self.settle(pass, &differences).await?;
            let wait = pace.after(pass.move_to(reached));
            self.show(ScrubState::Scrubbing, pass);
            if pass.saved_at.elapsed() >= SAVE_EVERY {
                if !self.save(lease, pass).await? {
                    // Whoever keeps the lease finds it out soon.
                    lease.lost().await;
                }
                pass.saved_at = Instant::now();
            }
            sleep(wait).await;
        }
    }

    /// Whether comparing makes no sense now: what is being rebuilt would only be found to differ and be asked for once more, and
    /// what a newer release makes of the log is not for this one to judge.
    async fn must_wait(&self) -> Result<bool, StoreError> {
        let repair = &self.ports.repair;
        Ok(repair.views().state == ViewsState::Rebuilding || repair.are_of_newer_release().await?)
    }

    /// Whether the log is none that is damaged as a whole. Beside such a one nothing can be said of views: the store has told what
    /// it is, and a hundred lines about orders would only hide that. Whatever else keeps the store from serving is met elsewhere.
    async fn log_is_whole(&self) -> Result<(), StoreError> {
        match self.ports.log.check().await {
            Err(error @ StoreError::Corrupt(_)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Counts and tells what differs, and has it repaired.
    async fn settle(&self, pass: &mut Pass, differences: &[Difference]) -> Result<(), StoreError> {
        if !differences.is_empty() {
            self.log_is_whole().await?;
        }
        self.status.send_modify(|now| now.faults += differences.len() as u64);
        for difference in differences {
            pass.faults += 1;
            if pass.faults <= MOST_TOLD {
                tracing::warn!("{}", difference.what);
            }
            if pass.faults == MOST_TOLD {
                tracing::warn!("further differences are only counted in this pass");
            }
        }
        let to_repair = || differences.iter().filter(|difference| difference.can_be_repaired);
        let Some(first) = to_repair().next() else { return Ok(()) };
        let why = format!("they are not what the log makes of them: {}", first.what);
        let order_ids: Vec<OrderId> = to_repair().filter_map(|found| found.order_id.clone()).collect();
        let positions: Vec<Position> = to_repair().filter_map(|found| found.too_much_at).collect();
        // The next pass finds again what is not repaired, so this one need not end here.
        if let Err(error) = self.ports.repair.repair_views(&order_ids, &positions, &why).await
            && pass.faults <= MOST_TOLD
        {
            tracing::warn!(%error, "the views that differ could not be had repaired for now");
        }
        Ok(())
    }

    /// Ends the pass, and after a rest begins the next from the log's start.
    async fn complete(&self, pass: &mut Pass) -> Result<(), StoreError> {
        let beyond = beyond_the_end(&*self.ports.log, &*self.ports.views).await?;
        self.settle(pass, &beyond).await?;
        let Pass { position, faults, begun, .. } = *pass;
        if faults > 0 {
            tracing::info!(events = position.0, faults, "all views have been compared with the log");
        } else {
            tracing::debug!(
                events = position.0,
                "all views have been compared with the log, and none differs"
            );
        }
        self.status.send_modify(|now| now.passes += 1);
        self.show(ScrubState::Resting, pass);
        sleep(SHORTEST_PASS.saturating_sub(begun.elapsed())).await;
        *pass = Pass::new(Position::START, self.ports.log.end().await?);
        Ok(())
    }

    /// Shows and tells an error. Answers whether anything had gone well since the one before.
    fn failed(&self, error: &StoreError) -> bool {
        let detail = Some(error.to_string());
        let before = self.tell(|now| ScrubStatus { state: ScrubState::Unavailable, detail, ..now });
        let went_on_before = before.state != ScrubState::Unavailable;
        if went_on_before {
            tracing::warn!(%error, "the views cannot be compared with the log for now");
        }
        went_on_before
    }

    fn show(&self, state: ScrubState, pass: &Pass) {
        let Pass { position, goal: of, faults: faults_in_pass, .. } = *pass;
        self.tell(|now| ScrubStatus { state, position, of, faults_in_pass, detail: None, ..now });
    }

    /// Shows how it goes, and answers with how it went before.
    fn tell(&self, change: impl FnOnce(ScrubStatus) -> ScrubStatus) -> ScrubStatus {
        let now = self.status.borrow().clone();
        self.status.send_replace(change(now))
    }
}
