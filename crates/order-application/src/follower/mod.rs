//! A follower hands every event of the log to a consumer, in order, at least once; of many instances one is at work.
//!
//! What is done with events is a [`Consumer`]'s business, such as the [relay](crate::Relay)'s. All else is done here. A
//! follower is a [`Subscription`](crate::Subscription) with a stored checkpoint: it hands over events in log order, with a
//! bounded window of those that are not done, and moves its checkpoint only past those that are. Whatever goes wrong, it
//! opens its consumer again at the checkpoint; what is not done waits in the log. So each event is handed over at least once.
//!
//! Among many instances on one store, the one that holds the checkpoint's lease is at work. One that fails gives the lease
//! back, so that another may try.
//!
//! | file | holds |
//! |---|---|
//! | `session.rs` | one consumer's life, from opening it until something goes wrong |
//! | `window.rs` | what was handed over and is not done |
//! | `again.rs` | events that are handed over once more because somebody asks for it |
//! | `status.rs`, `figures.rs` | how it goes |

mod again;
mod figures;
mod session;
mod status;
mod window;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::event::{Position, RecordedEvent};
use crate::lease::{Candidate, HolderWatch, Lease, LeaseLoss};
use crate::ports::broker::BrokerError;
use crate::ports::checkpoints::{Checkpoint, Checkpoints};
use crate::ports::event_bus::EventBus;
use crate::ports::event_log::{EventLog, PageLimit, StoreError};

pub use figures::FollowerFigures;
pub use status::{FollowerState, FollowerStatus};

/// How long a lease lasts that nobody renews.
const LEASE_TERM: Duration = Duration::from_secs(3);
/// The waits after failures that end by themselves, at most.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// The wait after a failure that somebody has to end.
const STUCK_BACKOFF: Duration = Duration::from_secs(15);
/// How often it looks how long the log is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is done with the events of the log.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Begins after a checkpoint, and answers with the position after which events are to be handed over. That is the
    /// checkpoint's, unless its evidence shows that the other side is elsewhere.
    ///
    /// # Errors
    /// See [`FollowerError`]. MUST come to an end within seconds, also when nobody answers.
    async fn open(&self, checkpoint: &Checkpoint) -> Result<(Box<dyn Consumption>, Position), FollowerError>;
}

/// Consuming events until something goes wrong.
#[async_trait]
pub trait Consumption: Send {
    /// Takes events, which continue what was taken before without a gap. They need not be done when it returns.
    ///
    /// # Errors
    /// See [`FollowerError`].
    async fn take(&mut self, events: &[RecordedEvent]) -> Result<(), FollowerError>;

    /// Works until at least one more event is done, and answers with the position up to which *all* events are. It waits while
    /// there is nothing to do. It is dropped and called again at least twice a second, which MUST lose nothing: what takes
    /// longer belongs into a field. Done is what need not be handed over again after a crash; a consumer that only has to act
    /// later (a timer) keeps what is due in a store of its own, and then it is done. Where events are handed over and none is
    /// done for 20 s, the session ends and begins again.
    ///
    /// # Errors
    /// See [`FollowerError`].
    async fn done(&mut self) -> Result<Position, FollowerError>;

    /// What the other side would have to show for what is done, as of the last answer of [`done`](Self::done).
    fn evidence(&self) -> Option<Box<str>> {
        None
    }

    /// Looks whether the other side still has what is done.
    ///
    /// # Errors
    /// [`FollowerError::OutOfStep`] if not; otherwise see [`FollowerError`].
    async fn check(&mut self) -> Result<(), FollowerError> {
        Ok(())
    }
}

/// Has the log consumed.
pub struct Follower {
    lease: Candidate,
    log: Arc<dyn EventLog>,
    bus: Arc<dyn EventBus>,
    consumer: Arc<dyn Consumer>,
    limits: FollowerLimits,
    status: watch::Sender<FollowerStatus>,
    figures: Arc<FollowerFigures>,
}

/// Bounds of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerLimits {
    /// Most events that are not done, and a page of the log on top.
    pub window_events: usize,
    /// Most bytes of their data, and a page of the log on top.
    pub window_bytes: usize,
}

impl Default for FollowerLimits {
    fn default() -> Self {
        Self { window_events: 32_768, window_bytes: 16 * 1024 * 1024 }
    }
}

/// What a follower needs of its surroundings.
#[derive(Clone)]
pub struct FollowerPorts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where it keeps how far it has come.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// What wakes it.
    pub bus: Arc<dyn EventBus>,
}

impl Follower {
    /// A follower whose checkpoint has this name. `holder` is a name that no other instance has.
    pub fn new(
        name: &str,
        holder: &str,
        ports: FollowerPorts,
        consumer: Arc<dyn Consumer>,
        limits: FollowerLimits,
    ) -> Self {
        let FollowerPorts { log, checkpoints, bus } = ports;
        let (name, holder) = (name.into(), holder.into());
        let lease = Candidate { checkpoints, name, holder, term: LEASE_TERM };
        let (status, _) = watch::channel(FollowerStatus::default());
        Self { lease, log, bus, consumer, limits, status, figures: Arc::default() }
    }

    /// What it counts.
    pub fn figures(&self) -> Arc<FollowerFigures> {
        Arc::clone(&self.figures)
    }

    /// How it goes, now and later.
    pub fn status(&self) -> watch::Receiver<FollowerStatus> {
        self.status.subscribe()
    }

    /// Follows the log until `stop`; then it saves how far it has come and gives its lease back.
    pub async fn run(&self, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        while !stop.is_cancelled() {
            let error = match self.attempt(&stop).await {
                Ok(()) => return,
                Err(error @ FollowerError::LeaseLost(_)) => {
                    tracing::warn!(follower = self.name(), "{error}");
                    continue;
                }
                Err(error) => error,
            };
            if self.status.borrow().state == FollowerState::Following {
                backoff.reset();
            }
            let state = self.failed(&error).await;
            let wait = if state.is_stuck() { STUCK_BACKOFF } else { backoff.next_wait() };
            let waiting = self.looking_meanwhile(tokio::time::sleep(wait));
            if stop.run_until_cancelled(waiting).await.is_none() {
                return;
            }
        }
    }

    /// Waits for the lease, and follows the log as long as all goes well.
    async fn attempt(&self, stop: &CancellationToken) -> Result<(), FollowerError> {
        let Some(lease) = self.wait_for_lease(stop).await? else { return Ok(()) };
        let ended = self.follow(&lease, None, stop).await;
        lease.give_back().await;
        ended
    }

    /// `None` when it is told to stop before.
    async fn wait_for_lease(&self, stop: &CancellationToken) -> Result<Option<Lease>, StoreError> {
        let mut watch = HolderWatch::default();
        loop {
            if let Some(lease) = self.lease.claim(&mut watch).await? {
                return Ok(Some(lease));
            }
            let position = self.checkpoint().await?.position;
            let lag = self.log.end().await?.0.saturating_sub(position.0);
            self.look_at_oldest(position, lag).await;
            self.tell(FollowerStatus { state: FollowerState::Standby, position, lag, detail: None });
            if stop.run_until_cancelled(tokio::time::sleep(self.lease.period())).await.is_none() {
                return Ok(None);
            }
        }
    }

    fn name(&self) -> &str {
        &self.lease.name
    }

    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        Ok(self.lease.checkpoints.load(self.name()).await?.unwrap_or_default())
    }

    /// Tells what went wrong.
    async fn failed(&self, error: &FollowerError) -> FollowerState {
        let state = match error {
            FollowerError::Misconfigured(_) => FollowerState::Misconfigured,
            FollowerError::Refused(_) => FollowerState::Refused,
            FollowerError::Unavailable(_)
            | FollowerError::OutOfStep(_)
            | FollowerError::Store(_)
            | FollowerError::BeyondEnd { .. }
            | FollowerError::LeaseLost(_) => FollowerState::Unavailable,
        };
        self.figures.failures.add_one();
        let now = self.status.borrow().clone();
        let lag = self.lag(&now).await;
        self.tell(FollowerStatus { state, lag, detail: Some(error.to_string()), ..now });
        state
    }

    /// Does something that takes its time, and shows again and again how long the backlog is.
    async fn looking_meanwhile<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = self.status.borrow().clone();
            let lag = self.lag(&now).await;
            self.tell(FollowerStatus { lag, ..now });
        }
    }

    /// How many events the log has beyond a position. If it is the store that is away, the last look has to do.
    async fn lag(&self, shown: &FollowerStatus) -> u64 {
        let lag = self.log.end().await.map_or(shown.lag, |end| end.0.saturating_sub(shown.position.0));
        self.look_at_oldest(shown.position, lag).await;
        lag
    }

    /// Notes since when the oldest event waits of those that are beyond a position. If the store is away, what was seen last
    /// has to do.
    async fn look_at_oldest(&self, position: Position, lag: u64) {
        if lag == 0 {
            return self.figures.nothing_waits();
        }
        if let Ok(next) = self.log.read_log(position, PageLimit::events(1)).await
            && let Some(event) = next.first()
        {
            self.figures.waits_since(event.time);
        }
    }

    /// Shows how it goes, and logs it when it goes otherwise than before.
    fn tell(&self, now: FollowerStatus) {
        let before = self.status.send_replace(now.clone());
        if (before.state, &before.detail) != (now.state, &now.detail) {
            now.log(self.name());
        }
    }
}

/// Why a follower cannot go on for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowerError {
    /// The other side is away, or asks for patience: try again soon.
    #[error("{0}")]
    Unavailable(String),
    /// The other side is not where it was left. Open it again from the checkpoint.
    #[error("{0}")]
    OutOfStep(String),
    /// Somebody has to change a setting, here or there; the text says which.
    #[error("{0}")]
    Misconfigured(String),
    /// The other side does not take an event, unless somebody changes a setting; the text says which.
    #[error("{0}")]
    Refused(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is to be handed over again is not in the log.
    #[error("there is no position {from}: the log ends at {end}")]
    BeyondEnd {
        /// The first position that was asked for.
        from: Position,
        /// The last that there is.
        end: Position,
    },
    /// The lease is not held any more.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLoss),
}

impl From<BrokerError> for FollowerError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Unavailable(why) => Self::Unavailable(why),
            BrokerError::OutOfStep(why) => Self::OutOfStep(why),
            BrokerError::Misconfigured(why) => Self::Misconfigured(why),
            BrokerError::Refused { .. } => Self::Refused(error.to_string()),
        }
    }
}
