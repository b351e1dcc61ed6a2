//! The one task that follows the log for all feeds.

use order_application::{RecordedEvent, RepeatedFault, Subscription};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::pages::{PAGE_BYTES, PAGE_EVENTS};
use super::tail::Tail;

/// Hands what is committed to the feeds, gathered while they are many. Ends them when the service stops, or when the log
/// cannot be followed: their clients come back with the ids that they saw last, and may end again and again, which `ending` says once.
pub(super) async fn run(
    mut subscription: Subscription,
    tail: &Tail,
    ending: &RepeatedFault,
    shutdown: &CancellationToken,
) {
    let _closing = CloseOnDrop(tail);
    let mut gathered = Gathered::default();
    let mut due = Instant::now();
    loop {
        let next = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = sleep_until(due), if !gathered.events.is_empty() => None,
            events = subscription.next() => Some(events),
        };
        match next {
            None => {}
            Some(Ok(Some(events))) => {
                if let Some(more) = ending.over() {
                    tracing::info!(more, "live feeds go on; so many more times all of them ended early");
                }
                gathered.add(events);
            }
            Some(Ok(None)) => {
                tail.hand_out(gathered.take());
                return;
            }
            Some(Err(error)) => {
                if ending.is_news() {
                    let position = subscription.position().0;
                    tracing::error!(%error, position, "all live feeds ended early; they may do so again");
                }
                return;
            }
        }
        if gathered.bytes >= PAGE_BYTES || Instant::now() >= due {
            tail.hand_out(gathered.take());
            due = Instant::now() + tail.gathering();
        }
    }
}

#[derive(Default)]
struct Gathered {
    events: Vec<RecordedEvent>,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, events: Vec<RecordedEvent>) {
        self.bytes += events.iter().map(|event| event.data.len()).sum::<usize>();
        self.events.extend(events);
    }

    /// All of it, in batches no larger than pages.
    fn take(&mut self) -> Vec<Vec<RecordedEvent>> {
        let Self { events, .. } = std::mem::take(self);
        let (mut batches, mut batch_bytes) = (Vec::<Vec<_>>::new(), 0);
        for event in events {
            batch_bytes += event.data.len();
            match batches.last_mut() {
                Some(batch) if batch.len() < PAGE_EVENTS && batch_bytes <= PAGE_BYTES => batch.push(event),
                Some(_) | None => {
                    batch_bytes = event.data.len();
                    batches.push(vec![event]);
                }
            }
        }
        batches
    }
}

/// However following ends, and be it by a panic, feeds do not wait for ever.
struct CloseOnDrop<'a>(&'a Tail);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use order_application::{
        Append, AppendError, EventContext, EventLog, PageLimit, Position, StoreError, Version,
    };
    use order_bus::InProcessBus;
    use order_domain::{OrderId, Timestamp};
    use uuid::Uuid;

    use super::*;

    /// A log that cannot be read until it is well.
    #[derive(Default)]
    struct BrokenLog {
        is_well: AtomicBool,
    }

    #[async_trait]
    impl EventLog for BrokenLog {
        async fn append(&self, _: Append) -> Result<Position, AppendError> {
            Err(StoreError::Overloaded.into())
        }

        async fn read_stream(
            &self,
            _: &OrderId,
            _: Version,
            _: PageLimit,
        ) -> Result<Vec<RecordedEvent>, StoreError> {
            Ok(Vec::new())
        }

        async fn read_log(&self, after: Position, _: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
            if !self.is_well.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("it is broken".to_owned()));
            }
            Ok((after == Position::START).then(first_event).into_iter().collect())
        }

        async fn end(&self) -> Result<Position, StoreError> {
            Ok(Position::START)
        }

        async fn version(&self, _: &OrderId) -> Result<Version, StoreError> {
            Ok(Version::NONE)
        }

        async fn check(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn first_event() -> RecordedEvent {
        RecordedEvent {
            position: Position(1),
            order_id: OrderId::new("o").unwrap(),
            version: Version(1),
            id: Uuid::nil(),
            event_type: "order.placed.v1".into(),
            time: Timestamp::from_micros(0),
            data: "{}".into(),
            context: EventContext::new("c", None, None),
            source: None,
        }
    }

    #[tokio::test]
    async fn that_all_feeds_ended_early_is_said_once_until_they_go_on() {
        let (log, ending) = (Arc::new(BrokenLog::default()), RepeatedFault::default());
        let follow = async || {
            // Its bus has closed, so that it ends at the end of the log.
            let subscription = Subscription::new(log.clone(), &InProcessBus::new(), Position::START);
            run(subscription, &Tail::new(Position::START), &ending, &CancellationToken::new()).await;
        };
        follow().await;
        assert!(!ending.is_news(), "it was said");
        log.is_well.store(true, Ordering::Relaxed);
        follow().await;
        assert!(ending.is_news(), "it is over");
    }
}
