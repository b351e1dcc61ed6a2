//! Keeping a lease while the holder works.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::checkpoints::{Checkpoints, Epoch};

/// A lease that is being kept. Dropping it only stops keeping it.
pub(super) struct Lease {
    checkpoints: Arc<dyn Checkpoints>,
    name: String,
    holder: String,
    epoch: Epoch,
    lost: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Lease {
    pub(super) fn keep(
        checkpoints: Arc<dyn Checkpoints>,
        name: &str,
        holder: &str,
        epoch: Epoch,
        term: Duration,
    ) -> Self {
        let lost = CancellationToken::new();
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let keeper = {
            let (checkpoints, name, holder) = (Arc::clone(&checkpoints), name.clone(), holder.clone());
            let lost = lost.clone();
            tokio::spawn(async move {
                renew(&*checkpoints, &name, &holder, epoch, term).await;
                lost.cancel();
            })
        };
        Self { checkpoints, name, holder, epoch, lost, keeper }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Waits until the lease is no longer held.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Lets others have it at once.
    pub(super) async fn give_back(self) {
        self.keeper.abort();
        if let Err(error) = self.checkpoints.release(&self.name, &self.holder, self.epoch).await {
            tracing::debug!(relay = self.name, %error, "the lease could not be given back; it will run out");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Renews the lease until that has failed for a whole term, or somebody else has it.
async fn renew(checkpoints: &dyn Checkpoints, name: &str, holder: &str, epoch: Epoch, term: Duration) {
    let mut held_until = Instant::now() + term;
    loop {
        tokio::time::sleep(term / 3).await;
        let asked = Instant::now();
        let claimed = tokio::time::timeout_at(held_until, checkpoints.claim(name, holder, term)).await;
        match claimed {
            Ok(Ok(Some(now))) if now == epoch => held_until = asked + term,
            // Another has it, or had it meanwhile.
            Ok(Ok(_)) => return,
            Ok(Err(error)) => tracing::debug!(relay = name, %error, "the lease could not be renewed"),
            Err(_) => return,
        }
        if Instant::now() >= held_until {
            return;
        }
    }
}
