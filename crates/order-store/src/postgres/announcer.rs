//! Tells the bus of this process what was committed, in log order, whoever committed it.
//!
//! What this instance commits is announced at once, unless another's commits come before it. Those are found by asking
//! for the end of the log again and again, as long as anybody listens: a look at one index entry. (NOTIFY would take a
//! lock of the whole database in each commit.)

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use order_application::{Committed, EventBus, LogHistory, PageLimit, Position, RecordedEvent, StoreError};
use tokio::sync::Notify;

use super::database::Database;
use super::history::History;
use super::pages;

/// How often the log is looked at for commits of other instances.
const PERIOD: Duration = Duration::from_millis(40);
/// Events that are announced with one look.
const PAGE: PageLimit = PageLimit { events: 500, bytes: 64 * 1024 };

pub(super) struct Announcer {
    bus: Arc<dyn EventBus>,
    history: Arc<History>,
    /// Up to where the log has been announced, and in which history of it.
    announced: Mutex<(LogHistory, Position)>,
    /// Something was committed here that cannot be announced before what others committed.
    gap: Notify,
}

impl Announcer {
    /// Goes on from `log_end`.
    pub(super) fn new(bus: Arc<dyn EventBus>, log_end: Position, history: Arc<History>) -> Self {
        let announced = Mutex::new((history.number(), log_end));
        Self { bus, history, announced, gap: Notify::new() }
    }

    /// Whether commits need to be told at all. Asked after a commit: whoever subscribes later reads the log first.
    pub(super) fn is_listened_to(&self) -> bool {
        self.bus.has_subscribers()
    }

    /// Takes events that this instance has committed.
    pub(super) fn committed_here(&self, events: Vec<RecordedEvent>) {
        let Some(last_position) = events.last().map(|last| last.position) else { return };
        let mut announced = self.announced();
        let (history, position) = *announced;
        // Others may have committed before them; or an earlier attempt some of them, before what others committed then.
        let go_on = events.iter().zip(position.0 + 1..).all(|(event, next)| event.position.0 == next);
        if go_on && history == self.history.number() {
            announced.1 = last_position;
            self.bus.publish(Committed { last_position, events: events.into() });
        } else {
            self.gap.notify_one();
        }
    }

    /// Announces what others commit, for as long as the store is open.
    pub(super) async fn follow(self: Arc<Self>, database: Arc<Database>) {
        loop {
            let _ = tokio::time::timeout(PERIOD, self.gap.notified()).await;
            if self.is_listened_to()
                && let Err(error) = self.announce_new(&database).await
            {
                tracing::debug!(%error, "the log cannot be followed");
            }
        }
    }

    async fn announce_new(&self, database: &Database) -> Result<(), StoreError> {
        loop {
            let Some((history, after)) = self.place() else { return self.begin_anew(database).await };
            let page = pages::log(database, after, PAGE).await?;
            if page.len() == PAGE.events {
                // More than is handed around, as when nobody had listened for long. Subscribers read the log.
                let log_end = pages::log_end(database).await?;
                self.publish_up_to(history, log_end, Vec::new());
                return Ok(());
            }
            let Some(last) = page.last().map(|event| event.position) else { return Ok(()) };
            self.publish_up_to(history, last, page);
        }
    }

    /// Goes on at the end of a log that has gone back, and wakes everybody, so that they notice.
    async fn begin_anew(&self, database: &Database) -> Result<(), StoreError> {
        let history = self.history.number();
        let last_position = pages::log_end(database).await?;
        let mut announced = self.announced();
        *announced = (history, last_position);
        self.bus.publish(Committed { last_position, events: Arc::new([]) });
        Ok(())
    }

    fn publish_up_to(&self, history: LogHistory, last: Position, mut events: Vec<RecordedEvent>) {
        let mut announced = self.announced();
        // What this instance committed meanwhile has been announced already.
        events.retain(|event| event.position > announced.1);
        if history == announced.0 && last > announced.1 {
            announced.1 = last;
            self.bus.publish(Committed { last_position: last, events: events.into() });
        }
    }

    /// Up to where the log has been announced; `None` if that was in another history than it has now.
    fn place(&self) -> Option<(LogHistory, Position)> {
        let place = *self.announced();
        (place.0 == self.history.number()).then_some(place)
    }

    fn announced(&self) -> std::sync::MutexGuard<'_, (LogHistory, Position)> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
