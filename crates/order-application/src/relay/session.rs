//! One session with the broker: from opening it until something goes wrong.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::lease::Lease;
use super::status::{RelayState, RelayStatus};
use super::window::Window;
use super::{Failure, Relay, RelayError};
use crate::event::{Position, RecordedEvent};
use crate::ports::broker::{BrokerError, Opened, Publication};
use crate::ports::checkpoints::Checkpoint;
use crate::ports::event_log::PageLimit;
use crate::subscription::Subscription;

/// How often it looks how long the log is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// When events come at a higher rate than this, in events a second, they are gathered: a broker takes many messages together
/// for much less than one by one, and commands run on the same machine.
const GATHER_ABOVE: u32 = 5_000;
/// The longest that events are gathered.
const GATHER_FOR: Duration = Duration::from_millis(60);
/// Less is not worth a timer, and would only make the event late.
const GATHER_AT_LEAST: Duration = Duration::from_millis(2);

/// How long a relay that is told to stop waits for acknowledgements.
const SETTLE: Duration = Duration::from_secs(1);

/// How far to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Endless,
    UpTo(Position),
}

/// The end of a session that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Stopped,
    GoalReached,
    LeaseLost,
}

impl Relay {
    /// Publishes under a lease.
    pub(super) async fn publish(
        &self,
        lease: &Lease,
        goal: Goal,
        stop: &CancellationToken,
    ) -> Result<End, Failure> {
        let checkpoint = self.checkpoints.load(&self.name).await?.unwrap_or_default();
        let mut now = RelayStatus { position: checkpoint.position, ..self.status.borrow().clone() };
        if now.state == RelayState::Standby {
            (now.state, now.detail) = (RelayState::Connecting, None);
        }
        self.tell(now);
        let Opened { publication, resume_after, resume_event } = tokio::select! {
            opened = self.broker.open(&checkpoint) => opened?,
            () = stop.cancelled() => return Ok(End::Stopped),
            () = lease.lost() => return Ok(End::LeaseLost),
        };
        if resume_after < checkpoint.position {
            tracing::warn!(
                relay = self.name, acknowledged = %checkpoint.position, after = %resume_after,
                "the broker has forgotten events that it had acknowledged; they are published again"
            );
        }
        let previous_id = self.id_at(resume_after).await?;
        if resume_after > checkpoint.position && previous_id != resume_event {
            return Err(another_event(resume_after).into());
        }
        let mut session = Session {
            relay: self,
            lease,
            subscription: Subscription::new(self.log.clone(), &*self.bus, resume_after).reading_ahead(),
            publication,
            previous_id,
            window: Window::default(),
            acknowledged: resume_after,
            saved: checkpoint.position,
            head: resume_after,
            progress: Instant::now(),
            worked: false,
        };
        session.look().await?;
        let ended = session.run(goal, stop).await;
        ended.map_err(|error| Failure { error, session_worked: session.worked })
    }
}

impl Relay {
    /// The id of the event at a position up to which all is published. `None` at the start of the log.
    async fn id_at(&self, position: Position) -> Result<Option<Uuid>, RelayError> {
        let Some(before) = position.0.checked_sub(1) else { return Ok(None) };
        let page = self.log.read_log(Position(before), PageLimit::events(1)).await?;
        match page.first().filter(|event| event.position == position) {
            Some(event) => Ok(Some(event.id)),
            None => Err(beyond_the_end(position).into()),
        }
    }
}

/// Refuses to go on after an event that this log does not have there.
fn another_event(position: Position) -> BrokerError {
    BrokerError::Misconfigured(format!(
        "the broker has another event at position {position} than this log: it is another shop's, or this store was \
         restored from a backup that is older than what was published; relay to a new stream or topic"
    ))
}

fn beyond_the_end(position: Position) -> BrokerError {
    BrokerError::Misconfigured(format!(
        "events up to position {position} were published, where this log has none: it is another shop's, or this store \
         was restored from a backup that is older than what was published; relay to a new stream or topic"
    ))
}

struct Session<'a> {
    relay: &'a Relay,
    lease: &'a Lease,
    subscription: Subscription,
    publication: Box<dyn Publication>,
    /// The id of the event that was sent last, or of the one to go on after.
    previous_id: Option<Uuid>,
    window: Window,
    /// Everything up to here is.
    acknowledged: Position,
    saved: Position,
    /// Where the log ends, as of the last look.
    head: Position,
    /// When the broker acknowledged something last, or had nothing to acknowledge.
    progress: Instant,
    /// Whether it has acknowledged anything at all.
    worked: bool,
}

impl Session<'_> {
    async fn run(&mut self, goal: Goal, stop: &CancellationToken) -> Result<End, RelayError> {
        let limits = &self.relay.limits;
        let every = |period| {
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut save, mut check, mut look) =
            (every(limits.save_every), every(limits.check_every), every(LOOK_EVERY));
        loop {
            if let Goal::UpTo(goal) = goal
                && self.acknowledged >= goal
            {
                return self.save().await.map(|kept| if kept { End::GoalReached } else { End::LeaseLost });
            }
            let has_room = self.window.has_room(limits.window_events, limits.window_bytes);
            tokio::select! {
                () = stop.cancelled() => {
                    self.settle().await;
                    return self.save().await.map(|_| End::Stopped);
                }
                () = self.lease.lost() => return Ok(End::LeaseLost),
                up_to = self.publication.acknowledged(), if !self.window.is_empty() => {
                    self.take_acknowledgement(up_to?);
                }
                events = self.subscription.next(), if has_room => {
                    // Without any, the store's bus has closed: the process is about to end.
                    let Some(events) = events? else { return Ok(End::Stopped) };
                    let announced = self.publish_what_has_come(events).await?;
                    if let Some(time) = gathering_time(announced) {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = sleep(time) => {}
                        }
                    }
                }
                _ = save.tick(), if self.acknowledged != self.saved => {
                    if !self.save().await? {
                        return Ok(End::LeaseLost);
                    }
                }
                _ = check.tick() => self.publication.check().await?,
                _ = look.tick() => self.look().await?,
                () = sleep_until(self.progress + limits.patience), if !self.window.is_empty() => {
                    let why = format!("nothing was acknowledged for {} s", limits.patience.as_secs());
                    return Err(BrokerError::Unavailable(why).into());
                }
            }
        }
    }

    /// Publishes these events and all that have been announced since. Answers with how many these were, or none if the log
    /// is read because the bus is behind.
    async fn publish_what_has_come(&mut self, events: Vec<RecordedEvent>) -> Result<usize, RelayError> {
        let mut announced = events.len();
        self.send(&events).await?;
        let limits = &self.relay.limits;
        while self.subscription.is_live() && self.window.has_room(limits.window_events, limits.window_bytes) {
            let Some(Some(events)) = self.subscription.next().now_or_never().transpose()? else { break };
            announced += events.len();
            self.send(&events).await?;
        }
        Ok(if self.subscription.is_live() { announced } else { 0 })
    }

    async fn send(&mut self, events: &[RecordedEvent]) -> Result<(), RelayError> {
        if self.window.is_empty() {
            self.progress = Instant::now();
        }
        self.publication.publish(self.previous_id, events).await?;
        self.previous_id = events.last().map(|event| event.id).or(self.previous_id);
        self.window.add(events);
        self.head = self.head.max(self.subscription.position());
        #[cfg(feature = "planted-faults")]
        self.plant_checkpoint_before_ack();
        Ok(())
    }

    /// Waits a moment for what is under way, so that it need not be published again.
    async fn settle(&mut self) {
        let end = Instant::now() + SETTLE;
        while !self.window.is_empty() {
            match timeout_at(end, self.publication.acknowledged()).await {
                Ok(Ok(up_to)) => self.take_acknowledgement(up_to),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    fn take_acknowledgement(&mut self, up_to: Position) {
        self.acknowledged = self.acknowledged.max(up_to);
        self.window.acknowledge(up_to);
        self.progress = Instant::now();
        self.worked = true;
        self.tell();
    }

    /// Saves how far the broker has acknowledged. `false` when somebody else has the lease.
    async fn save(&mut self) -> Result<bool, RelayError> {
        if self.acknowledged == self.saved {
            return Ok(true);
        }
        let position = self.acknowledged;
        let checkpoint = Checkpoint { position, evidence: Some(self.publication.evidence()) };
        let Relay { checkpoints, name, .. } = self.relay;
        let kept = checkpoints.save(name, self.lease.epoch(), &checkpoint).await?;
        if kept {
            self.saved = position;
        }
        Ok(kept)
    }

    async fn look(&mut self) -> Result<(), RelayError> {
        self.head = self.head.max(self.relay.log.end().await?);
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let position = self.acknowledged;
        let lag = self.head.0.saturating_sub(position.0);
        let before = self.relay.status.borrow().clone();
        // A broker that takes connections need not take events: what was wrong is so until one of them is acknowledged, or
        // there is none.
        let now = if before.detail.is_some() && !self.worked && lag > 0 {
            RelayStatus { position, lag, ..before }
        } else {
            RelayStatus { state: RelayState::Publishing, position, lag, detail: None }
        };
        self.relay.tell(now);
    }
}

/// For how long to gather events after so many have come: until as many would come again at the rate above which they are
/// gathered. At a higher rate more come, so that the time grows up to its bound; at a lower one it shrinks to nothing.
fn gathering_time(announced: usize) -> Option<Duration> {
    let events = u32::try_from(announced).unwrap_or(u32::MAX);
    let time = (Duration::from_secs(1) / GATHER_ABOVE).saturating_mul(events).min(GATHER_FOR);
    (time >= GATHER_AT_LEAST).then_some(time)
}

#[cfg(feature = "planted-faults")]
impl Session<'_> {
    /// Moves the checkpoint past events that the broker has not acknowledged.
    fn plant_checkpoint_before_ack(&mut self) {
        if super::planted_faults::checkpoint_before_ack() {
            self.acknowledged = self.subscription.position();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long events are gathered in the end when they come at this rate, after so many at once.
    fn in_the_end(per_second: f64, mut announced: usize) -> Duration {
        let mut last = Duration::ZERO;
        for _ in 0..100 {
            last = gathering_time(announced).unwrap_or_default();
            announced = (last.as_secs_f64() * per_second) as usize;
        }
        last
    }

    #[test]
    fn events_that_come_fast_are_gathered_and_others_are_not_made_late() {
        assert_eq!(in_the_end(20_000.0, 20), GATHER_FOR);
        assert_eq!(in_the_end(1_000.0, 20_000), Duration::ZERO);
        assert_eq!(in_the_end(4_000.0, 20_000), Duration::ZERO);
        assert_eq!(gathering_time(1), None);
    }
}
