//! The relay: publishes the log to a broker, in order and for certain.
//!
//! The log is the outbox. A relay is a [`Subscription`](crate::Subscription) with a stored checkpoint: it publishes in log order with a bounded
//! `window` of unacknowledged events, and moves its checkpoint only past acknowledged ones. Whatever goes wrong, it
//! opens the broker again and goes on from there; the backlog waits in the log. So events come at least once, and for each
//! order the first occurrences come in order.
//!
//! Among many instances on one store, the one that holds the checkpoint's lease publishes. One that cannot reach the
//! broker gives the lease back, so that another may try.

mod lease;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod session;
mod status;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::event::Position;
use crate::ports::broker::{Broker, BrokerError};
use crate::ports::checkpoints::{Checkpoint, Checkpoints};
use crate::ports::event_bus::EventBus;
use crate::ports::event_log::{EventLog, StoreError};

pub use status::{RelayState, RelayStatus};

use lease::Lease;
use session::{End, Goal};

/// How often [`Relay::publish_again`] begins anew when somebody else publishes: for as long as it takes the holder of the
/// lease to notice that it was taken away, and then some.
const MOST_ATTEMPTS_AGAIN: usize = 6;

/// Publishes the log to one broker.
pub struct Relay {
    name: String,
    holder: String,
    log: Arc<dyn EventLog>,
    checkpoints: Arc<dyn Checkpoints>,
    bus: Arc<dyn EventBus>,
    broker: Arc<dyn Broker>,
    limits: RelayLimits,
    status: watch::Sender<RelayStatus>,
}

/// Bounds of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// Most unacknowledged events, and a page of the log on top.
    pub window_events: usize,
    /// Most bytes of their data, and a page of the log on top.
    pub window_bytes: usize,
    /// How often the checkpoint is saved while it moves: what may be published again after a crash.
    pub save_every: Duration,
    /// How often the broker is asked whether it still has what it acknowledged.
    pub check_every: Duration,
    /// How long the broker may acknowledge nothing while it has something to acknowledge.
    pub patience: Duration,
    /// How long a lease lasts that nobody renews. It is renewed three times in that time, and others look for a free one
    /// as often.
    pub lease_term: Duration,
    /// The first wait after a failure; each further one is twice as long.
    pub first_backoff: Duration,
    /// The longest wait after a failure that ends by itself.
    pub longest_backoff: Duration,
    /// The wait after a failure that somebody has to end.
    pub stuck_backoff: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            window_events: 32_768,
            window_bytes: 16 * 1024 * 1024,
            save_every: Duration::from_millis(250),
            check_every: Duration::from_secs(3),
            patience: Duration::from_secs(20),
            lease_term: Duration::from_secs(3),
            first_backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(5),
            stuck_backoff: Duration::from_secs(15),
        }
    }
}

/// What a relay needs of its surroundings.
#[derive(Clone)]
pub struct RelayPorts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where it keeps how far it has come.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// What wakes it.
    pub bus: Arc<dyn EventBus>,
}

impl Relay {
    /// A relay to `broker` whose checkpoint has this name. `holder` is a name that no other instance has.
    pub fn new(
        name: impl Into<String>,
        holder: impl Into<String>,
        ports: RelayPorts,
        broker: Arc<dyn Broker>,
        limits: RelayLimits,
    ) -> Self {
        let RelayPorts { log, checkpoints, bus } = ports;
        let (status, _) = watch::channel(RelayStatus::default());
        Self { name: name.into(), holder: holder.into(), log, checkpoints, bus, broker, limits, status }
    }

    /// How it goes, now and later.
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// Publishes until `stop`; then it saves how far it has come and gives its lease back.
    pub async fn run(&self, stop: CancellationToken) {
        let mut backoff = self.limits.first_backoff;
        while !stop.is_cancelled() {
            let wait = match self.attempt(&stop).await {
                Ok(End::Stopped | End::GoalReached) => return,
                Ok(End::LeaseLost) => continue,
                Err(failure) => {
                    if failure.session_worked {
                        backoff = self.limits.first_backoff;
                    }
                    let stuck = self.failed(&failure.error).await;
                    if stuck { self.limits.stuck_backoff } else { backoff }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            backoff = (backoff * 2).min(self.limits.longest_backoff);
        }
    }

    /// Publishes everything from a position on again, up to where the log ends now, whatever the broker has; then the
    /// usual relay goes on from there. The lease is taken from whoever has it.
    ///
    /// # Errors
    /// [`RelayError`]. What was published until then stays published, and the usual relay goes on after it.
    pub async fn publish_again(&self, from: Position, stop: CancellationToken) -> Result<(), RelayError> {
        let goal = self.log.end().await?;
        if from > goal.plus(1) {
            return Err(RelayError::BeyondEnd { from, end: goal });
        }
        let term = self.limits.lease_term;
        let epoch = self.checkpoints.claim_by_force(&self.name, &self.holder, term).await?;
        let lease = self.keep(epoch);
        let mut after = Position(from.0.saturating_sub(1));
        let mut attempts = 1;
        let ended = loop {
            // Without evidence, whatever the broker has.
            let rewound = Checkpoint { position: after, evidence: None };
            if !self.checkpoints.save(&self.name, epoch, &rewound).await? {
                return Err(RelayError::LeaseLost);
            }
            let ended = self.publish(&lease, Goal::UpTo(goal), &stop).await;
            let disturbed =
                matches!(&ended, Err(Failure { error: RelayError::Broker(BrokerError::OutOfStep(_)), .. }));
            if !disturbed || attempts == MOST_ATTEMPTS_AGAIN {
                break ended;
            }
            // Who had the lease has not noticed yet that it is gone, and still publishes.
            attempts += 1;
            tokio::time::sleep(term / 3).await;
            after = self.checkpoints.load(&self.name).await?.map_or(after, |reached| reached.position);
        };
        lease.give_back().await;
        match ended.map_err(|failure| failure.error)? {
            End::GoalReached | End::Stopped => Ok(()),
            End::LeaseLost => Err(RelayError::LeaseLost),
        }
    }

    /// Waits for the lease, and publishes as long as all goes well.
    async fn attempt(&self, stop: &CancellationToken) -> Result<End, Failure> {
        let Some(lease) = self.wait_for_lease(stop).await? else { return Ok(End::Stopped) };
        let ended = self.publish(&lease, Goal::Endless, stop).await;
        lease.give_back().await;
        if matches!(ended, Ok(End::LeaseLost)) {
            tracing::warn!(relay = self.name, "another instance has taken over");
        }
        ended
    }

    async fn wait_for_lease(&self, stop: &CancellationToken) -> Result<Option<Lease>, StoreError> {
        loop {
            let term = self.limits.lease_term;
            if let Some(epoch) = self.checkpoints.claim(&self.name, &self.holder, term).await? {
                return Ok(Some(self.keep(epoch)));
            }
            let position = self.checkpoints.load(&self.name).await?.unwrap_or_default().position;
            let lag = self.log.end().await?.0.saturating_sub(position.0);
            self.tell(RelayStatus { state: RelayState::Standby, position, lag, detail: None });
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(term / 3) => {}
            }
        }
    }

    fn keep(&self, epoch: crate::Epoch) -> Lease {
        Lease::keep(Arc::clone(&self.checkpoints), &self.name, &self.holder, epoch, self.limits.lease_term)
    }

    /// Tells what went wrong. `true` when somebody has to do something about it.
    async fn failed(&self, error: &RelayError) -> bool {
        let state = match error {
            RelayError::Broker(BrokerError::Misconfigured(_)) => RelayState::Misconfigured,
            RelayError::Broker(BrokerError::Refused { .. }) => RelayState::Refused,
            RelayError::Broker(BrokerError::Unavailable(_) | BrokerError::OutOfStep(_))
            | RelayError::Store(_)
            | RelayError::BeyondEnd { .. }
            | RelayError::LeaseLost => RelayState::Unavailable,
        };
        let now = self.status.borrow().clone();
        // The backlog grows meanwhile. If it is the store that is away, the last look has to do.
        let lag = self.log.end().await.map_or(now.lag, |head| head.0.saturating_sub(now.position.0));
        self.tell(RelayStatus { state, lag, detail: Some(error.to_string()), ..now });
        matches!(state, RelayState::Misconfigured | RelayState::Refused)
    }

    /// Shows how it goes, and logs it when it goes otherwise than before.
    fn tell(&self, now: RelayStatus) {
        let before = self.status.send_replace(now.clone());
        if (before.state, &before.detail) != (now.state, &now.detail) {
            now.log(&self.name);
        }
    }
}

/// Why a relay cannot go on for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is to be published again is not in the log.
    #[error("there is no position {from}: the log ends at {end}")]
    BeyondEnd {
        /// The first position that was asked for.
        from: Position,
        /// The last that there is.
        end: Position,
    },
    /// Another has taken over.
    #[error("another instance has taken over")]
    LeaseLost,
}

/// The end of a session that was not meant.
struct Failure {
    error: RelayError,
    /// Whether anything was acknowledged before.
    session_worked: bool,
}

impl<E: Into<RelayError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), session_worked: false }
    }
}
