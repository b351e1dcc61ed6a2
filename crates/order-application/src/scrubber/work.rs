use std::time::Duration;

use tokio::time::Instant;

use super::Scrubber;
use super::pass::Pass;
use crate::event::Position;
use crate::lease::Lease;
use crate::ports::checkpoints::Checkpoint;
use crate::ports::event_log::StoreError;

/// How often the checkpoint is saved while it moves: what is compared again after a crash.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// What the holder of the lease is at.
pub(super) struct Work {
    pub(super) lease: Lease,
    pub(super) pass: Pass,
    saved: Position,
    saved_at: Instant,
}

impl Scrubber {
    pub(super) async fn begin(&self, lease: Lease) -> Result<Work, StoreError> {
        let saved = self.saved().await?;
        let goal = self.ports.log.end().await?;
        Ok(Work { lease, pass: Pass::new(saved, goal), saved, saved_at: Instant::now() })
    }

    pub(super) async fn saved(&self) -> Result<Position, StoreError> {
        Ok(self.ports.checkpoints.load(&self.lease.name).await?.unwrap_or_default().position)
    }

    /// Saves how far it has come, now and then.
    pub(super) async fn save(&self, work: &mut Work) -> Result<(), StoreError> {
        let position = work.pass.resume_after();
        if work.saved_at.elapsed() < SAVE_EVERY || work.saved == position {
            return Ok(());
        }
        let checkpoint = Checkpoint { position, evidence: None };
        if !self.ports.checkpoints.save(&self.lease.name, work.lease.epoch, &checkpoint).await? {
            // Another has had the lease, which whoever keeps it finds out soon.
            work.lease.lost().await;
        }
        (work.saved, work.saved_at) = (position, Instant::now());
        Ok(())
    }

    /// Nothing depends on it: what is not saved is compared again, and a lease runs out.
    pub(super) async fn give_back(&self, Work { lease, pass, .. }: Work) {
        let checkpoint = Checkpoint { position: pass.resume_after(), evidence: None };
        if let Err(error) = self.ports.checkpoints.save(&self.lease.name, lease.epoch, &checkpoint).await {
            tracing::debug!(%error, "the scrubber could not save how far it has come");
        }
        lease.give_back().await;
    }
}
