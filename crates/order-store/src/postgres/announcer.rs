//! Tells the bus of this process what was committed, in log order, whoever committed it.
//!
//! What this instance commits is announced at once, unless another's commits come before it. Those are found by asking
//! for the end of the log again and again, as long as anybody listens: a look at one index entry. (NOTIFY would take a
//! lock of the whole database in each commit.)

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use order_application::{Committed, EventBus, PageLimit, Position, RecordedEvent, StoreError};
use tokio::sync::Notify;

use super::database::Database;
use super::pages;

/// How often the log is looked at for commits of other instances.
const PERIOD: Duration = Duration::from_millis(40);
/// Events that are announced with one look.
const PAGE: PageLimit = PageLimit { events: 500, bytes: 64 * 1024 };

pub(super) struct Announcer {
    bus: Arc<dyn EventBus>,
    /// Up to where the log has been announced.
    announced: Mutex<Position>,
    /// Something was committed here that cannot be announced before what others committed.
    gap: Notify,
}

impl Announcer {
    /// Goes on from `log_end`.
    pub(super) fn new(bus: Arc<dyn EventBus>, log_end: Position) -> Self {
        Self { bus, announced: Mutex::new(log_end), gap: Notify::new() }
    }

    /// Whether commits need to be told at all. Asked after a commit: whoever subscribes later reads the log first.
    pub(super) fn is_listened_to(&self) -> bool {
        self.bus.has_subscribers()
    }

    /// Takes events that this instance has committed.
    pub(super) fn committed_here(&self, events: Vec<RecordedEvent>) {
        let mut announced = self.announced();
        // Others may have committed before them; or an earlier attempt some of them, before what others committed then.
        let go_on = events.iter().zip(announced.0 + 1..).all(|(event, next)| event.position.0 == next);
        match events.last() {
            Some(last) if go_on => {
                *announced = last.position;
                self.bus.publish(Committed { last_position: last.position, events: events.into() });
            }
            Some(_) => self.gap.notify_one(),
            None => {}
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
            let after = *self.announced();
            let page = pages::log(database, after, PAGE).await?;
            if page.len() == PAGE.events {
                // More than is handed around, as when nobody had listened for long. Subscribers read the log.
                let log_end = pages::log_end(database).await?;
                self.publish_up_to(log_end, Vec::new());
                return Ok(());
            }
            let Some(last) = page.last().map(|event| event.position) else { return Ok(()) };
            self.publish_up_to(last, page);
        }
    }

    fn publish_up_to(&self, last: Position, mut events: Vec<RecordedEvent>) {
        let mut announced = self.announced();
        // What this instance committed meanwhile has been announced already.
        events.retain(|event| event.position > *announced);
        if last > *announced {
            *announced = last;
            self.bus.publish(Committed { last_position: last, events: events.into() });
        }
    }

    fn announced(&self) -> std::sync::MutexGuard<'_, Position> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
