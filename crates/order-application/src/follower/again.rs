use tokio_util::sync::CancellationToken;

use super::{Follower, FollowerError};
use crate::event::Position;
use crate::lease::LeaseLoss;
use crate::ports::checkpoints::Checkpoint;

/// How often it begins anew when the usual follower is still at work: for as long as it takes that one to notice that its
/// lease was taken away, and then some.
const MAX_ATTEMPTS: usize = 6;

impl Follower {
    /// Hands over everything from a position on again, up to where the log ends now, though the other side has it; then the
    /// usual follower goes on from there. The lease is taken from whoever has it, as soon as it is known that the other side
    /// can be opened.
    ///
    /// # Errors
    /// [`FollowerError`]. What was done until then stays done, and the usual follower goes on after it.
    pub async fn run_again(&self, from: Position, stop: CancellationToken) -> Result<(), FollowerError> {
        let goal = self.log.end().await?;
        if from > goal.plus(1) {
            return Err(FollowerError::BeyondEnd { from, end: goal });
        }
        let trial = self.consumer.open(&self.checkpoint().await?).await?;
        drop(trial);
        let lease = self.lease.claim_by_force().await?;
        let mut after = Position(from.0.saturating_sub(1));
        let mut attempts = 1;
        let ended = loop {
            // The evidence stays: if the other side has lost more than that, or loses it before this is through, it shows.
            let rewound = Checkpoint { position: after, evidence: self.checkpoint().await?.evidence };
            if !self.lease.checkpoints.save(self.name(), lease.epoch, &rewound).await? {
                return Err(LeaseLoss::TakenOver.into());
            }
            let ended = self.follow(&lease, Some(goal), &stop).await;
            if !matches!(ended, Err(FollowerError::OutOfStep(_))) || attempts == MAX_ATTEMPTS {
                break ended;
            }
            attempts += 1;
            tokio::time::sleep(self.lease.period()).await;
            after = self.checkpoint().await?.position;
        };
        lease.give_back().await;
        ended
    }
}
