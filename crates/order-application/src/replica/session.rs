//! One session with the broker: from opening it until something goes wrong.

use std::time::Duration;

use futures_util::future::{BoxFuture, OptionFuture};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::merge::{Added, Merge};
use super::status::ReplicaState;
use super::stored_ids::StoredIds;
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
    /// How many events are in it.
    applying_events: usize,
    applied: Position,
    /// How many messages have to be delivered before it has caught up: all that the broker had at one moment. More comes
    /// meanwhile, so the end of it all is never reached. `None`: the broker was not asked yet.
    goal_messages: Option<u64>,
    /// Up to where all has to be applied, once so many are delivered.
    goal: Option<Position>,
    /// Since when nothing has come from where the awaited position may be.
    silent_since: Instant,
    /// What the merge had heard then; more than that is hope.
    heard: u64,
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
        let reader = self.log.open(bookmark.as_deref()).await?;
        Ok(Session {
            replica: self,
            merge: Merge::new(end, reader.partitions(), self.limits),
            reader,
            stored: StoredIds::new(self.store.clone()),
            applying: None,
            applying_events: 0,
            applied: end,
            goal_messages: None,
            goal: None,
            silent_since: Instant::now(),
            heard: 0,
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
            let wants_more = !self.merge.is_full();
            let silent_at = self.look_for_silence();
            let mut is_silent = false;
            tokio::select! {
                biased;
                Some(applied) = OptionFuture::from(self.applying.as_mut()) => self.take_applied(applied?).await?,
                _ = ask.tick() => self.ask().await?,
                delivered = self.reader.next(), if wants_more => self.take(delivered?).await?,
                Some(()) = OptionFuture::from(silent_at.map(sleep_until)) => is_silent = true,
            }
            if self.awaits_gap() && (is_silent || self.merge.all_have_passed()) {
                if self.merge.may_have_dropped_it() {
                    return Ok(());
                }
                self.lose();
            }
            for (partition, is_paused) in self.merge.steer() {
                self.reader.set_paused(partition, is_paused)?;
            }
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
            self.take_applied(position).await?;
        }
    }

    /// Begins to apply what is ready.
    fn apply(&mut self) {
        let batch = self.merge.take_batch();
        let bookmark = self.reader.bookmark(&batch.resume_from);
        self.applying_events = batch.events.len();
        self.applying = Some(Box::pin(self.replica.writer.apply(batch.events, Some(bookmark))));
    }

    async fn take_applied(&mut self, position: Position) -> Result<(), ReplicaError> {
        self.applying = None;
        self.applying_events = 0;
        self.applied = position;
        self.replica.tell(|status| status.position = position);
        self.check_repetitions().await
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
        if let Some(position) = missing.filter(|_| self.merge.missing.is_none()) {
            tracing::info!(position = position.0, "the position that was missing is here");
            self.replica.tell(|status| status.state = ReplicaState::CatchingUp);
        }
        self.check_repetitions().await
    }

    /// Only what is no other log's may be said to have caught up.
    async fn check_repetitions(&mut self) -> Result<(), ReplicaError> {
        for (position, id) in self.merge.take_unchecked(self.applied) {
            self.stored.check(position, id).await?;
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
        // It may have counted some that are not there, such as those that somebody deleted, and finds out later.
        let messages = self.merge.delivered + behind;
        self.goal_messages = Some(self.goal_messages.map_or(messages, |before| before.min(messages)));
        let in_hand = self.merge.in_hand() + self.applying_events;
        self.replica.tell(|status| status.behind = Some(behind + in_hand as u64));
        self.tell_progress();
        Ok(())
    }

    /// Shows whether it has caught up, unless there is something worse to show.
    fn tell_progress(&mut self) {
        let all_is_here = self.goal_messages.is_some_and(|messages| self.merge.delivered >= messages);
        if self.goal.is_none() && all_is_here {
            self.goal = Some(self.merge.highest);
        }
        if self.merge.missing.is_some() {
            return;
        }
        let reached = self.goal.is_some_and(|goal| self.applied >= goal);
        let in_hand = (self.merge.in_hand() + self.applying_events) as u64;
        self.replica.tell(|status| {
            if reached && !status.has_caught_up {
                // What the broker said last was before all of that was applied.
                status.behind = Some(in_hand);
            }
            status.state = if reached { ReplicaState::Following } else { ReplicaState::CatchingUp };
            status.has_caught_up |= reached;
            status.detail = None;
        });
    }

    /// Whether later positions are here and the next one is not, which may come yet.
    fn awaits_gap(&self) -> bool {
        self.merge.gap().is_some() && self.merge.missing.is_none()
    }

    /// When the position that is awaited has been awaited for long enough. `None` while none is.
    fn look_for_silence(&mut self) -> Option<Instant> {
        let awaits = self.awaits_gap();
        if !awaits || self.heard != self.merge.heard {
            (self.silent_since, self.heard) = (Instant::now(), self.merge.heard);
        }
        let patience = if self.merge.may_have_dropped_it() { PATIENCE_FOR_DROPPED } else { SILENCE };
        awaits.then_some(self.silent_since + patience)
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
}

/// What to do about a position that is missing. A file begins with the one before, which shows that it is of the same log.
fn advice(position: Position, why: &str, next: Position) -> String {
    let known = position.0.saturating_sub(1).max(1);
    format!(
        "position {position} is missing: {why}, and the next one that it has is {next}. Publish again from there, with \
         `order-service republish --bus URL --from-position {position}` on the primary; or start this replica with \
         `--from-file FILE`, where FILE is what `order-service export --from-position {known}` writes there"
    )
}
