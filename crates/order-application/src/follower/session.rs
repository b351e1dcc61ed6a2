//! One session with a consumer: from opening it until something goes wrong.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::status::{FollowerState, FollowerStatus};
use super::window::Window;
use super::{Consumption, Follower, FollowerError, LOOK_EVERY};
use crate::event::{Position, RecordedEvent};
use crate::lease::{Lease, LeaseLoss};
use crate::ports::checkpoints::Checkpoint;
use crate::ports::event_log::LogHistory;
use crate::subscription::Subscription;

/// How often the checkpoint is saved while it moves: what may be done again after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(250);
/// How often the consumer is asked to check.
const CHECK_EVERY: Duration = Duration::from_secs(3);
/// How long nothing may get done while there is something to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// When events come at a higher rate than this, in events a second, they are gathered: the other side takes many together for
/// much less than one by one, and commands run on the same machine.
const GATHER_ABOVE: u32 = 5_000;
/// The longest that events are gathered.
const GATHER_FOR: Duration = Duration::from_millis(60);
/// Less is not worth a timer, and would only make the event late.
const GATHER_AT_LEAST: Duration = Duration::from_millis(2);

/// How long a follower that is told to stop waits for what is under way.
const SETTLE: Duration = Duration::from_secs(1);

impl Follower {
    /// Follows the log under a lease, until it is told to stop, or up to the goal if there is one.
    pub(super) async fn follow(
        &self,
        lease: &Lease,
        goal: Option<Position>,
        stop: &CancellationToken,
    ) -> Result<(), FollowerError> {
        // Before anything is read: whatever is found out until it is at work is of this history, or is for nothing.
        let history = self.log.history();
        let checkpoint = self.checkpoint().await?;
        let mut now = FollowerStatus { position: checkpoint.position, ..self.status.borrow().clone() };
        if now.state == FollowerState::Standby {
            (now.state, now.detail) = (FollowerState::Connecting, None);
        }
        now.lag = self.lag(&now).await;
        self.tell(now);
        let (consumption, after) = tokio::select! {
            opened = self.looking_meanwhile(self.consumer.open(&checkpoint)) => opened?,
            () = stop.cancelled() => return Ok(()),
            loss = lease.lost() => return Err(loss.into()),
        };
        let mut session = Session {
            follower: self,
            lease,
            subscription: Subscription::new(self.log.clone(), &*self.bus, after).reading_ahead(),
            history,
            consumption,
            window: Window::new(self.limits),
            done: after,
            saved: checkpoint.position,
            log_end: after,
            progress: Instant::now(),
            worked: false,
        };
        session.look().await?;
        if session.done < session.saved {
            // Before anything is handed over: what the checkpoint is compared with later has to come before that.
            session.save().await?;
        }
        session.run(goal, stop).await
    }
}

struct Session<'a> {
    follower: &'a Follower,
    lease: &'a Lease,
    subscription: Subscription,
    /// The log's, from before the consumer was opened.
    history: LogHistory,
    consumption: Box<dyn Consumption>,
    window: Window,
    /// Every event up to this position is done.
    done: Position,
    saved: Position,
    /// As of the last look.
    log_end: Position,
    /// When there was progress last, or nothing to do.
    progress: Instant,
    /// Whether there was any progress at all.
    worked: bool,
}

impl Session<'_> {
    async fn run(&mut self, goal: Option<Position>, stop: &CancellationToken) -> Result<(), FollowerError> {
        let every = |period| {
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut save, mut check, mut look) = (every(SAVE_EVERY), every(CHECK_EVERY), every(LOOK_EVERY));
        loop {
            if goal.is_some_and(|goal| self.done >= goal) {
                return self.save().await;
            }
            let has_room = self.window.has_room();
            tokio::select! {
                () = stop.cancelled() => {
                    self.settle().await;
                    return self.save().await;
                }
                loss = self.lease.lost() => return Err(loss.into()),
                up_to = self.consumption.done() => self.take_progress(up_to?),
                events = self.subscription.next(), if has_room => {
                    // Without any, the store's bus has closed: the process is about to end.
                    self.expect_same_history()?;
                    let Some(events) = events? else { return Ok(()) };
                    let announced = self.hand_over(events).await?;
                    if let Some(time) = gathering_time(announced) {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = sleep(time) => {}
                        }
                    }
                }
                _ = save.tick(), if self.done != self.saved => self.save().await?,
                _ = check.tick() => self.consumption.check().await?,
                _ = look.tick() => self.look().await?,
                () = sleep_until(self.progress + PATIENCE), if !self.window.is_empty() => {
                    let why = format!("nothing was done for {} s", PATIENCE.as_secs());
                    return Err(FollowerError::Unavailable(why));
                }
            }
        }
    }

    /// Hands over these events and all that have been announced since. Answers with how many these were, or none if the log
    /// is read because the bus is behind.
    async fn hand_over(&mut self, events: Vec<RecordedEvent>) -> Result<usize, FollowerError> {
        let mut announced = events.len();
        self.take(&events).await?;
        while self.subscription.is_live() && self.window.has_room() {
            let Some(Some(events)) = self.subscription.next().now_or_never().transpose()? else { break };
            announced += events.len();
            self.take(&events).await?;
        }
        Ok(if self.subscription.is_live() { announced } else { 0 })
    }

    async fn take(&mut self, events: &[RecordedEvent]) -> Result<(), FollowerError> {
        // The subscription may have begun after the log went back, and the consumer before.
        self.expect_same_history()?;
        if self.window.is_empty() {
            self.progress = Instant::now();
        }
        self.consumption.take(events).await?;
        self.window.add(events);
        self.log_end = self.log_end.max(self.subscription.position());
        #[cfg(feature = "planted-faults")]
        if crate::planted_faults::checkpoint_before_ack() {
            self.done = self.subscription.position();
        }
        Ok(())
    }

    /// Waits a moment for what is under way, so that it need not be done again.
    async fn settle(&mut self) {
        let end = Instant::now() + SETTLE;
        while !self.window.is_empty() {
            match timeout_at(end, self.consumption.done()).await {
                Ok(Ok(up_to)) => self.take_progress(up_to),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    fn take_progress(&mut self, up_to: Position) {
        self.follower.figures.done.add(up_to.0.saturating_sub(self.done.0));
        self.done = self.done.max(up_to);
        self.window.shrink(up_to);
        self.progress = Instant::now();
        self.worked = true;
        self.tell();
    }

    /// Saves how far everything is done.
    async fn save(&mut self) -> Result<(), FollowerError> {
        if self.done == self.saved {
            return Ok(());
        }
        self.expect_same_history()?;
        let position = self.done;
        let checkpoint = Checkpoint { position, evidence: self.consumption.evidence() };
        let checkpoints = &self.follower.lease.checkpoints;
        if !checkpoints.save(self.follower.name(), self.lease.epoch, &checkpoint).await? {
            return Err(LeaseLoss::TakenOver.into());
        }
        self.saved = position;
        Ok(())
    }

    /// What is done was done with events of one history. In another, positions have other events.
    fn expect_same_history(&self) -> Result<(), FollowerError> {
        if self.follower.log.history() == self.history {
            return Ok(());
        }
        let why = "the log has gone back to an earlier state; what the other side has is compared with it before anything \
                   else is handed over";
        Err(FollowerError::OutOfStep(why.to_owned()))
    }

    async fn look(&mut self) -> Result<(), FollowerError> {
        let log_end = self.follower.log.end().await?;
        self.expect_same_history()?;
        self.log_end = self.log_end.max(log_end);
        let lag = self.log_end.0.saturating_sub(self.done.0);
        self.follower.look_at_oldest(self.done, lag).await;
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let position = self.done;
        let lag = self.log_end.0.saturating_sub(position.0);
        let before = self.follower.status.borrow().clone();
        // The other side may let us connect and still take no event. So what was wrong is shown until an event is done, or
        // none is left to do.
        let now = if before.detail.is_some() && !self.worked && lag > 0 {
            FollowerStatus { position, lag, ..before }
        } else {
            FollowerStatus { state: FollowerState::Following, position, lag, detail: None }
        };
        if lag == 0 {
            self.follower.figures.nothing_waits();
        }
        self.follower.tell(now);
    }
}

/// For how long to gather events after so many have come: until as many would come again at the rate above which they are
/// gathered. At a higher rate more come, so that the time grows up to its bound; at a lower one it shrinks to nothing.
fn gathering_time(announced: usize) -> Option<Duration> {
    let events = u32::try_from(announced).unwrap_or(u32::MAX);
    let time = (Duration::from_secs(1) / GATHER_ABOVE).saturating_mul(events).min(GATHER_FOR);
    (time >= GATHER_AT_LEAST).then_some(time)
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
