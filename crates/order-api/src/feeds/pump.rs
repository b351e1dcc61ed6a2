//! The one task that follows the log for all feeds.

use order_application::{RecordedEvent, Subscription};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::pages::{PAGE_BYTES, PAGE_EVENTS};
use super::tail::Tail;

/// Hands what is committed to the feeds, gathered while they are many. Ends them when the service stops, or when the log
/// cannot be followed: their clients come back with the ids that they saw last.
pub(super) async fn run(mut subscription: Subscription, tail: &Tail, shutdown: &CancellationToken) {
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
            Some(Ok(Some(events))) => gathered.add(events),
            Some(Ok(None)) => {
                tail.hand_out(gathered.take());
                return;
            }
            Some(Err(error)) => {
                tracing::error!(%error, position = subscription.position().0, "live feeds ended early");
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
