//! How subscriptions hear that the log has grown.
//!
//! The log is the truth and the bus only a wake-up: whoever misses an announcement reads the log. So a bus may drop
//! what a slow subscriber does not take, and never makes the writer wait.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{Position, RecordedEvent};

/// Events that were committed together, or only that there are some.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The position of the last of them.
    pub last_position: Position,
    /// The events, in log order and without a gap; empty where they are too large to be handed around.
    pub events: Arc<[RecordedEvent]>,
}

/// Announces commits inside this process.
pub trait EventBus: Send + Sync + 'static {
    /// Announces a commit. MUST NOT block, whatever subscribers do. Stores MUST call it after the commit, in commit
    /// order.
    fn publish(&self, committed: Committed);

    /// Whether anybody listens. A store that asks this *after* its commit may leave out an announcement that nobody
    /// would hear: whoever subscribes later reads the log first.
    fn has_subscribers(&self) -> bool;

    /// Listens from now on.
    fn subscribe(&self) -> Box<dyn BusReceiver>;
}

/// One subscriber's end of the bus.
#[async_trait]
pub trait BusReceiver: Send {
    /// The next announcement. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// [`Missed`] when announcements were dropped, or when the bus has closed.
    async fn next(&mut self) -> Result<Committed, Missed>;
}

/// Why an announcement did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// This subscriber was too slow; the log has what it missed.
    Lagged,
    /// There will be no more.
    Closed,
}
