//! Announces commits to the subscriptions of this process.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::{BusReceiver, Committed, EventBus, Missed};
use tokio::sync::broadcast;

/// Announcements that are kept for a slow subscriber. Beyond that it reads the log.
const KEPT_ANNOUNCEMENTS: usize = 256;
/// Event data of one announcement. Larger commits are announced without their events, which bounds what is kept in
/// memory to 16 MiB.
const MAX_ANNOUNCED_BYTES: usize = 64 * 1024;

/// A bounded broadcast. Publishing never waits.
pub struct InProcessBus {
    sender: broadcast::Sender<Committed>,
}

impl InProcessBus {
    /// A bus that nobody listens to yet.
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(KEPT_ANNOUNCEMENTS) }
    }
}

impl Default for InProcessBus {
    fn default() -> Self {
        Self::new()
    }
}

impl EventBus for InProcessBus {
    fn publish(&self, mut committed: Committed) {
        let bytes: usize = committed.events.iter().map(|event| event.data.len()).sum();
        if bytes > MAX_ANNOUNCED_BYTES {
            committed.events = Arc::new([]);
        }
        // An error means that nobody listens, which is fine.
        let _ = self.sender.send(committed);
    }

    fn has_subscribers(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    fn subscribe(&self) -> Box<dyn BusReceiver> {
        Box::new(Receiver(self.sender.subscribe()))
    }
}

struct Receiver(broadcast::Receiver<Committed>);

#[async_trait]
impl BusReceiver for Receiver {
    async fn next(&mut self) -> Result<Committed, Missed> {
        self.0.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(_) => Missed::Lagged,
            broadcast::error::RecvError::Closed => Missed::Closed,
        })
    }
}
