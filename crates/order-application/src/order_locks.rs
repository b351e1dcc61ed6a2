//! One lock per order that is being worked on, in this process.
//!
//! It spares two commands to one order a conflict in the store; it is not what keeps them apart. The store's version check
//! is, since other instances know nothing of these locks.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use order_domain::OrderId;
use tokio::sync::OwnedMutexGuard;

/// Enough that two cores hardly ever meet in one shard.
const SHARDS: usize = 64;

type Entries = HashMap<OrderId, Arc<tokio::sync::Mutex<Lately>>>;
type Shard = Mutex<Entries>;

/// What whoever has an order's lock leaves to the next in line; forgotten when there is none.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// Other instances have changed the order too: so many commands more go on expecting it.
    wary_commands: u8,
}

/// Commands that expect other instances to change the order, after one has been found to.
const WARY_COMMANDS: u8 = 16;

/// Locks by order. Only orders that are being worked on take memory.
pub(crate) struct OrderLocks {
    hasher: RandomState,
    shards: Box<[Shard]>,
}

/// Holds an order's lock until it is dropped.
pub(crate) struct OrderGuard<'a> {
    shard: &'a Shard,
    order_id: OrderId,
    guard: Option<OwnedMutexGuard<Lately>>,
}

impl OrderLocks {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// Waits for its turn; first come, first served.
    pub(crate) async fn lock(&self, order_id: &OrderId) -> OrderGuard<'_> {
        let shard = &self.shards[self.hasher.hash_one(order_id) as usize % SHARDS];
        let lock = entries(shard).entry(order_id.clone()).or_default().clone();
        // Made before the wait, so that a wait that is cancelled tidies up as well.
        let mut guard = OrderGuard { shard, order_id: order_id.clone(), guard: None };
        guard.guard = Some(lock.lock_owned().await);
        guard
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| entries(shard).len()).sum()
    }
}

impl OrderGuard<'_> {
    /// Whether other instances have changed the order too, by what was found lately.
    pub(crate) fn is_contended(&self) -> bool {
        self.guard.as_ref().is_some_and(|lately| lately.wary_commands > 0)
    }

    /// Tells the next in line whether another instance was found to have changed the order this time.
    pub(crate) fn found(&mut self, change_by_another: bool) {
        if let Some(lately) = &mut self.guard {
            lately.wary_commands =
                if change_by_another { WARY_COMMANDS } else { lately.wary_commands.saturating_sub(1) };
        }
    }
}

impl Drop for OrderGuard<'_> {
    fn drop(&mut self) {
        // Taking it before the count: whoever waits holds a reference of its own.
        drop(self.guard.take());
        let mut entries = entries(self.shard);
        if entries.get(&self.order_id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            entries.remove(&self.order_id);
        }
    }
}

/// A panic while a shard is held cannot leave it half-changed, so poisoning means nothing here.
fn entries(shard: &Shard) -> std::sync::MutexGuard<'_, Entries> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_id(id: &str) -> OrderId {
        OrderId::new(id).unwrap()
    }

    #[tokio::test]
    async fn one_order_is_worked_on_by_one_at_a_time() {
        let locks = OrderLocks::new();
        let held = locks.lock(&order_id("a")).await;
        let other_order = locks.lock(&order_id("b")).await;
        let mut second = Box::pin(locks.lock_for_test("a"));
        assert!(futures_poll(&mut second).await.is_none(), "the second waits");
        drop(held);
        assert!(futures_poll(&mut second).await.is_some(), "and goes on when the first is done");
        drop((second, other_order));
    }

    #[tokio::test]
    async fn the_next_in_line_learns_what_was_found_and_nobody_after_that() {
        let locks = OrderLocks::new();
        let mut held = locks.lock(&order_id("a")).await;
        assert!(!held.is_contended());
        held.found(true);
        let id = order_id("a");
        let mut next = Box::pin(locks.lock(&id));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_ready()));
        assert!(!polled.await, "it waits");
        drop(held);
        let next = next.await;
        assert!(next.is_contended());
        drop(next);
        assert!(!locks.lock(&order_id("a")).await.is_contended());
    }

    #[tokio::test]
    async fn an_order_nobody_works_on_takes_no_memory() {
        let locks = OrderLocks::new();
        let held = locks.lock(&order_id("a")).await;
        let mut cancelled = Box::pin(locks.lock_for_test("a"));
        assert!(futures_poll(&mut cancelled).await.is_none());
        drop(held);
        drop(cancelled);
        assert_eq!(locks.len(), 0);
    }

    impl OrderLocks {
        async fn lock_for_test(&self, id: &str) {
            drop(self.lock(&order_id(id)).await);
        }
    }

    async fn futures_poll<F: Future<Output = ()> + Unpin>(future: &mut F) -> Option<()> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                std::task::Poll::Ready(()) => Some(()),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
