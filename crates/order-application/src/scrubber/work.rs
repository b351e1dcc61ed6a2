use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::pass::Pass;
use super::{CHECKPOINT, Scrubber};
use crate::event::Position;
use crate::ports::checkpoints::{Checkpoint, Epoch};
use crate::ports::event_log::StoreError;

/// What the holder of the lease is at.
pub(super) struct Work {
    pub(super) epoch: Epoch,
    pub(super) claimed_at: Instant,
    pub(super) saved: Position,
    pub(super) saved_at: Instant,
    pub(super) pass: Pass,
}

impl Scrubber {
    pub(super) async fn begin(&self, epoch: Epoch) -> Result<Work, StoreError> {
        let saved = self.saved().await?;
        let goal = self.ports.log.end().await?;
        let now = Instant::now();
        Ok(Work { epoch, claimed_at: now, saved, saved_at: now, pass: Pass::new(saved, goal) })
    }

    pub(super) async fn saved(&self) -> Result<Position, StoreError> {
        Ok(self.ports.checkpoints.load(CHECKPOINT).await?.unwrap_or_default().position)
    }

    /// Saves how far it has come, now and then. `false` when the lease is lost.
    pub(super) async fn save(&self, work: &mut Work) -> Result<bool, StoreError> {
        let position = work.pass.resume_after();
        if work.saved_at.elapsed() < self.limits.save_every || work.saved == position {
            return Ok(true);
        }
        let checkpoint = Checkpoint { position, evidence: None };
        let saved = self.ports.checkpoints.save(CHECKPOINT, work.epoch, &checkpoint).await?;
        (work.saved, work.saved_at) = (position, Instant::now());
        Ok(saved)
    }

    /// Waits, and keeps the lease meanwhile. `false` when it is lost.
    pub(super) async fn pause(&self, work: &mut Work, wait: Duration) -> Result<bool, StoreError> {
        let until = Instant::now() + wait;
        let renew_every = self.limits.lease_term / 3;
        loop {
            if work.claimed_at.elapsed() >= renew_every {
                let claimed_at = Instant::now();
                let term = self.limits.lease_term;
                let epoch = self.ports.checkpoints.claim(CHECKPOINT, &self.holder, term).await?;
                if epoch != Some(work.epoch) {
                    return Ok(false);
                }
                work.claimed_at = claimed_at;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            sleep(left.min(renew_every)).await;
        }
    }

    /// Nothing depends on it: what is not saved is compared again, and a lease runs out.
    pub(super) async fn give_back(&self, work: Work) {
        let (checkpoints, epoch) = (&self.ports.checkpoints, work.epoch);
        let checkpoint = Checkpoint { position: work.pass.resume_after(), evidence: None };
        let saved = checkpoints.save(CHECKPOINT, epoch, &checkpoint).await.map(|_| ());
        let released = checkpoints.release(CHECKPOINT, &self.holder, epoch).await;
        if let Err(error) = saved.and(released) {
            tracing::debug!(%error, "the scrubber could not save how far it has come");
        }
    }
}
