//! Leases: which of many instances is at work.
//!
//! No clock is compared with another. A holder shows that it lives by a beat that goes up; a standby that has seen the same
//! beat for a whole term, by its own clock, takes the lease. A holder's term starts when it asks;
//! a standby's starts later, when it sees the beat. So the holder gives up first.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::checkpoints::{Beat, Checkpoints, Claim, Epoch};
use crate::ports::event_log::StoreError;

/// Most attempts to take a lease whose holder renews it meanwhile.
const MAX_FORCED_CLAIMS: usize = 10;

/// What a standby has seen of a lease's holder.
#[derive(Debug, Default)]
pub struct HolderWatch(Option<(Beat, Instant)>);

impl HolderWatch {
    /// Notes the holder's beat, as it is now.
    pub fn saw(&mut self, beat: Beat) {
        if self.0.is_none_or(|(before, _)| before != beat) {
            self.0 = Some((beat, Instant::now()));
        }
    }

    /// The last beat of a holder that has been silent for this long.
    pub fn silent_for(&self, term: Duration) -> Option<Beat> {
        self.0.filter(|(_, since)| since.elapsed() >= term).map(|(beat, _)| beat)
    }
}

/// One who may hold the lease on a checkpoint.
#[derive(Clone)]
pub struct Candidate {
    /// Where leases are kept.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// The checkpoint's.
    pub name: Arc<str>,
    /// A name that no other instance has.
    pub holder: Arc<str>,
    /// How long a lease lasts that nobody renews.
    pub term: Duration,
}

impl Candidate {
    /// Asks for the lease. `None` if another has it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn claim(&self, watch: &mut HolderWatch) -> Result<Option<Lease>, StoreError> {
        let asked = Instant::now();
        let claim = self.checkpoints.claim(&self.name, &self.holder, watch.silent_for(self.term)).await?;
        Ok(match claim {
            Claim::Granted(epoch) => Some(Lease::keep(self.clone(), epoch, asked)),
            Claim::Held(beat) => {
                watch.saw(beat);
                None
            }
        })
    }

    /// Takes the lease from whoever has it.
    pub(crate) async fn claim_by_force(&self) -> Result<Lease, StoreError> {
        let mut seen = None;
        for _ in 0..MAX_FORCED_CLAIMS {
            let asked = Instant::now();
            match self.checkpoints.claim(&self.name, &self.holder, seen).await? {
                Claim::Granted(epoch) => return Ok(Lease::keep(self.clone(), epoch, asked)),
                Claim::Held(beat) => seen = Some(beat),
            }
        }
        Err(StoreError::Unavailable(format!("the lease {:?} cannot be taken", self.name)))
    }

    /// How long to wait before the lease is asked for again, or renewed.
    pub(crate) fn period(&self) -> Duration {
        self.term / 3
    }

    /// Renews the lease until that has failed for a whole term, or somebody else has it.
    async fn renew(&self, epoch: Epoch, mut asked: Instant) -> LeaseLoss {
        loop {
            let held_until = asked + self.term;
            let now = held_until.min(Instant::now() + self.period());
            sleep_until(now).await;
            let claim = self.checkpoints.claim(&self.name, &self.holder, None);
            match timeout_at(held_until, claim).await {
                Ok(Ok(Claim::Granted(now_epoch))) if now_epoch == epoch => asked = now,
                // Another has it, or had it meanwhile.
                Ok(Ok(Claim::Granted(_) | Claim::Held(_))) => return LeaseLoss::TakenOver,
                Err(_) => return LeaseLoss::RanOut,
                Ok(Err(error)) => {
                    tracing::debug!(lease = &*self.name, %error, "the lease could not be renewed");
                    if Instant::now() >= held_until {
                        return LeaseLoss::RanOut;
                    }
                }
            }
        }
    }
}

/// Why a lease is not held any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLoss {
    /// Another has it, or had it meanwhile.
    #[error("another instance has taken over")]
    TakenOver,
    /// Nobody is known to have it, but the store has not renewed it within its term.
    #[error("the store did not renew the lease in time")]
    RanOut,
}

/// A lease that is being kept. Dropping it only stops keeping it.
pub struct Lease {
    candidate: Candidate,
    pub(crate) epoch: Epoch,
    lost: CancellationToken,
    loss: Arc<OnceLock<LeaseLoss>>,
    keeper: AbortOnDropHandle<()>,
}

impl Lease {
    fn keep(candidate: Candidate, epoch: Epoch, asked: Instant) -> Self {
        let (lost, loss) = (CancellationToken::new(), Arc::new(OnceLock::new()));
        let keeper = tokio::spawn({
            let (candidate, lost, loss) = (candidate.clone(), lost.clone(), Arc::clone(&loss));
            async move {
                let ended = candidate.renew(epoch, asked).await;
                loss.get_or_init(|| ended);
                lost.cancel();
            }
        });
        Self { candidate, epoch, lost, loss, keeper: AbortOnDropHandle::new(keeper) }
    }

    /// Whether it is not held any more.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Is cancelled when it is not held any more.
    pub(crate) fn lost_token(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Waits until it is not held any more, and says why.
    pub(crate) async fn lost(&self) -> LeaseLoss {
        self.lost.cancelled().await;
        self.loss.get().copied().unwrap_or(LeaseLoss::RanOut)
    }

    /// Lets others have it at once.
    pub async fn give_back(self) {
        drop(self.keeper);
        let Candidate { checkpoints, name, holder, .. } = &self.candidate;
        if let Err(error) = checkpoints.release(name, holder, self.epoch).await {
            tracing::debug!(lease = &**name, %error, "the lease could not be given back; it will run out");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::ports::checkpoints::Checkpoint;

    /// Where a lease can be taken once, and never again: the store fails, or another has it.
    #[derive(Default)]
    struct Failing {
        asked: AtomicUsize,
        is_held: bool,
    }

    #[async_trait]
    impl Checkpoints for Failing {
        async fn claim(&self, _: &str, _: &str, _: Option<Beat>) -> Result<Claim, StoreError> {
            match self.asked.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(Claim::Granted(Epoch(1))),
                _ if self.is_held => Ok(Claim::Held(Beat(7))),
                asked if asked < 10 => Err(StoreError::Unavailable("it fails".into())),
                _ => panic!("it is asked again and again"),
            }
        }

        async fn release(&self, _: &str, _: &str, _: Epoch) -> Result<(), StoreError> {
            Ok(())
        }

        async fn load(&self, _: &str) -> Result<Option<Checkpoint>, StoreError> {
            Ok(None)
        }

        async fn save(&self, _: &str, _: Epoch, _: &Checkpoint) -> Result<bool, StoreError> {
            Ok(false)
        }
    }

    const TERM: Duration = Duration::from_secs(15);

    async fn lease(checkpoints: Failing) -> Lease {
        let checkpoints: Arc<dyn Checkpoints> = Arc::new(checkpoints);
        let candidate = Candidate { checkpoints, name: "a".into(), holder: "b".into(), term: TERM };
        candidate.claim(&mut HolderWatch::default()).await.unwrap().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_cannot_be_renewed_is_lost_after_a_term_and_asked_for_a_few_times() {
        let lease = lease(Failing::default()).await;
        tokio::time::sleep(TERM - Duration::from_millis(1)).await;
        assert!(!lease.is_lost());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(lease.is_lost());
        assert_eq!(lease.lost().await, LeaseLoss::RanOut, "nobody else is known to be there");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_another_has_is_lost_at_once() {
        let lease = lease(Failing { is_held: true, ..Failing::default() }).await;
        tokio::time::sleep(TERM / 2).await;
        assert!(lease.is_lost());
        assert_eq!(lease.lost().await, LeaseLoss::TakenOver);
    }
}
