//! One session with the broker: from opening it until something goes wrong.

use std::time::Duration;

use futures_util::future::{BoxFuture, OptionFuture};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

use super::goal::Goal;
use super::merge::{Added, Merge};
use super::status::ReplicaState;
use super::stored_ids::StoredIds;
use super::waiting::{Waiting, advice};
use super::{CHECKPOINT, OtherLog, Replica, ReplicaError};
use crate::event::Position;
use crate::ports::broker::{BrokerError, BrokerReader, Delivery};

/// How long the partitions that an awaited position may come from can be silent until it counts as missing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait for a position that may have been dropped until it is read again.
const PATIENCE_FOR_DROPPED: Duration = Duration::from_secs(1);
/// How often the broker is asked how much more it has.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long it may take to answer that.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(10);

struct Session<'a> {
    replica: &'a Replica,
    reader: Box<dyn BrokerReader>,
    merge: Merge,
    stored: StoredIds,
    /// A batch on its way into the store.
    applying: Option<BoxFuture<'a, Result<Position, ReplicaError>>>,
    applied: Position,
    /// How many events are in the batch that is being applied.
    applying_events: usize,
    goal: Goal,
    waiting: Option<Waiting>,
}

/// What happens next in a session.
enum Step {
    Applied(Result<Position, ReplicaError>),
    Delivered(Result<Vec<Delivery>, BrokerError>),
    Ask,
    Silent,
}

impl Replica {
    /// Reads the broker on from the checkpoint for as long as that goes well. Returns when what was dropped is needed.
    pub(super) async fn follow(&self) -> Result<(), ReplicaError> {
        let mut session = self.open().await?;
        match session.run().await {
            // What has come is applied all the same: a connection that breaks again and again still brings it forward.
            Ok(()) => session.finish().await,
            Err(error @ ReplicaError::Broker(_)) => session.finish().await.and(Err(error)),
            Err(error) => Err(error),
        }
    }

    async fn open(&self) -> Result<Session<'_>, ReplicaError> {
        let end = self.store.end().await?;
        let checkpoint = self.store.load(CHECKPOINT).await?.unwrap_or_default();
        self.tell(|status| status.position = end);
        // Events may have come from elsewhere since, and are then delivered once more. The other way round the bookmark
        // is of another log.
        let bookmark = checkpoint.evidence.filter(|_| checkpoint.position <= end);
        let reader = match self.log.open(bookmark.as_deref()).await {
            // The broker is not the one that it was: what it has is read from the beginning.
            Err(BrokerError::OutOfStep(why)) if bookmark.is_some() => {
                tracing::warn!(why, "the broker is read from its beginning");
                self.log.open(None).await?
            }
            opened => opened?,
        };
        Ok(Session {
            replica: self,
            merge: Merge::new(end, reader.partitions(), self.limits),
            reader,
            stored: StoredIds::new(self.store.clone()),
            applying: None,
            applied: end,
            applying_events: 0,
            goal: Goal::Unknown,
            waiting: None,
        })
    }
}

impl Session<'_> {
    /// Returns when what was dropped is needed.
    async fn run(&mut self) -> Result<(), ReplicaError> {
        let mut ask = interval(ASK_EVERY);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.applying.is_none() && self.merge.has_ready() {
                self.apply();
            }
            let step = {
                let silent_at = self.waiting.map(|waiting| waiting.since + self.patience());
                let wants_more = !self.merge.is_full();
                tokio::select! {
                    biased;
                    Some(applied) = OptionFuture::from(self.applying.as_mut()) => Step::Applied(applied),
                    _ = ask.tick() => Step::Ask,
                    delivered = self.reader.next(), if wants_more => Step::Delivered(delivered),
                    Some(()) = OptionFuture::from(silent_at.map(sleep_until)) => Step::Silent,
                }
            };
            match step {
                Step::Applied(outcome) => self.take_applied(outcome?),
                Step::Delivered(deliveries) => self.take(deliveries?).await?,
                Step::Ask => self.ask().await?,
                Step::Silent => {
                    if self.merge.may_have_dropped_it() {
                        return Ok(());
                    }
                    self.lose();
                }
            }
            if self.merge.gap().is_some() && self.merge.missing.is_none() && self.merge.all_have_passed() {
                if self.merge.may_have_dropped_it() {
                    return Ok(());
                }
                self.lose();
            }
            self.steer()?;
            self.waiting = Waiting::look(self.waiting, &self.merge);
        }
    }

    /// Applies all that continues the log.
    async fn finish(&mut self) -> Result<(), ReplicaError> {
        loop {
            if self.applying.is_none() && self.merge.has_ready() {
                self.apply();
            }
            let Some(applying) = &mut self.applying else { return Ok(()) };
            let position = applying.await?;
            self.take_applied(position);
        }
    }

    /// Begins to apply what is ready.
    fn apply(&mut self) {
        let batch = self.merge.take_batch();
        let bookmark = self.reader.bookmark(&batch.resume_from);
        self.applying_events = batch.events.len();
        self.applying = Some(Box::pin(self.replica.writer.apply(batch.events, Some(bookmark))));
    }

    fn take_applied(&mut self, position: Position) {
        self.applying = None;
        self.applying_events = 0;
        self.applied = position;
        self.replica.tell(|status| status.position = position);
        self.tell_progress();
    }

    async fn take(&mut self, deliveries: Vec<Delivery>) -> Result<(), ReplicaError> {
        let partitions = self.reader.partitions();
        let missing = self.merge.missing;
        for delivery in deliveries {
            if delivery.partition >= partitions {
                return Err(BrokerError::OutOfStep("it has other partitions now".to_owned()).into());
            }
            match self.merge.add(delivery) {
                Added::Taken => {}
                Added::Unreadable(fault) => self.skip(&fault),
                Added::OtherLog(position) => return Err(OtherLog::another_event(position).into()),
            }
        }
        for (position, id) in self.merge.take_unchecked() {
            self.stored.check(position, id).await?;
        }
        if let Some(position) = missing.filter(|_| self.merge.missing.is_none()) {
            tracing::info!(%position, "the position that was missing is here");
            self.replica.tell(|status| status.state = ReplicaState::CatchingUp);
        }
        self.tell_progress();
        Ok(())
    }

    /// Counts a message that is not an event. The more of them there were, the more rarely one is logged.
    fn skip(&mut self, fault: &str) {
        self.replica.tell(|status| status.skipped += 1);
        let skipped = self.replica.status.borrow().skipped;
        if skipped.is_power_of_two() {
            tracing::warn!(fault, skipped, "a message is not an event of this service, and is passed over");
        }
    }

    async fn ask(&mut self) -> Result<(), ReplicaError> {
        let behind = timeout(MAX_ANSWER_TIME, self.reader.behind()).await.unwrap_or_else(|_| {
            Err(BrokerError::Unavailable(format!("it said nothing for {} s", MAX_ANSWER_TIME.as_secs())))
        })?;
        self.goal.set(self.merge.delivered, behind);
        let in_hand = self.merge.in_hand() + self.applying_events;
        self.replica.tell(|status| status.behind = Some(behind + in_hand as u64));
        self.tell_progress();
        Ok(())
    }

    /// Shows whether it has caught up, unless there is something worse to show.
    fn tell_progress(&mut self) {
        let reached = self.goal.is_reached(self.merge.delivered, self.merge.highest, self.applied);
        if self.merge.missing.is_some() {
            return;
        }
        self.replica.tell(|status| {
            status.state = if reached { ReplicaState::Following } else { ReplicaState::CatchingUp };
            status.has_caught_up |= reached;
            status.detail = None;
        });
    }

    /// Looks for the position that everything waits for.
    fn lose(&mut self) {
        let Some(position) = self.merge.gap() else { return };
        let why = if self.merge.all_have_passed() {
            "every partition of the broker has passed it".to_owned()
        } else {
            format!("for {} s nothing came from where it could be", SILENCE.as_secs())
        };
        let next = self.merge.first_early().unwrap_or(position);
        self.merge.look_for_missing();
        self.replica.tell(|status| {
            status.state = ReplicaState::Missing;
            status.detail = Some(advice(position, &why, next));
        });
    }

    /// Pauses and resumes partitions.
    fn steer(&mut self) -> Result<(), BrokerError> {
        for partition in self.merge.pause_ahead() {
            self.reader.pause(partition)?;
        }
        for partition in self.merge.resume_behind() {
            self.reader.resume(partition)?;
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        if self.merge.may_have_dropped_it() { PATIENCE_FOR_DROPPED } else { SILENCE }
    }
}
