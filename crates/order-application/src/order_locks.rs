//! One lock per order that is being worked on, in this process.
//!
//! It spares two commands to one order a conflict in the store; it is not what keeps them apart. The store's version check
//! is, since other instances know nothing of these locks.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_domain::OrderId;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::backoff::random_between;

/// Enough that two cores hardly ever meet in one shard.
const SHARDS: usize = 64;

/// For so long after a conflict, whoever has the order's lock lets other instances in before each change.
const CONTENDED_FOR: Duration = Duration::from_secs(1);
/// The shortest and the longest time that others are let in: they have to read the order and to append.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(3);

/// Locks by order. Only orders that are being worked on take memory.
pub(crate) struct OrderLocks {
    hasher: RandomState,
    shards: Box<[Shard]>,
}

type Entries = HashMap<OrderId, Arc<Entry>>;
type Shard = Mutex<Entries>;
type Entry = tokio::sync::Mutex<Lately>;

/// What whoever has an order's lock leaves to the next in line; forgotten when there is none.
#[derive(Debug, Default)]
struct Lately {
    /// When another instance was found to have changed the order.
    conflict: Option<Instant>,
}

/// Holds an order's lock until it is dropped. (Fields are dropped as they stand here, and the reference has to be the last.)
pub(crate) struct OrderGuard<'a> {
    lately: OwnedMutexGuard<Lately>,
    _reference: Reference<'a>,
}

/// Keeps an order's entry in being.
struct Reference<'a> {
    shard: &'a Shard,
    order_id: OrderId,
    entry: Arc<Entry>,
}

impl OrderLocks {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// Takes an order's lock if nobody has it.
    pub(crate) fn try_lock(&self, order_id: &OrderId) -> Option<OrderGuard<'_>> {
        let reference = self.refer(order_id);
        let lately = Arc::clone(&reference.entry).try_lock_owned().ok()?;
        Some(OrderGuard { lately, _reference: reference })
    }

    /// Waits for an order's lock; first come, first served.
    pub(crate) async fn lock(&self, order_id: &OrderId) -> OrderGuard<'_> {
        let reference = self.refer(order_id);
        let lately = Arc::clone(&reference.entry).lock_owned().await;
        OrderGuard { lately, _reference: reference }
    }

    fn refer(&self, order_id: &OrderId) -> Reference<'_> {
        let shard = &self.shards[self.hasher.hash_one(order_id) as usize % SHARDS];
        let entry = entries(shard).entry(order_id.clone()).or_default().clone();
        Reference { shard, order_id: order_id.clone(), entry }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| entries(shard).len()).sum()
    }
}

impl OrderGuard<'_> {
    /// Tells the next in line, too, that another instance changes the order.
    pub(crate) fn met_conflict(&mut self) {
        self.lately.conflict = Some(Instant::now());
    }

    /// How long to let another instance in, if one changes the order, too: it needs a round trip more to try again, and
    /// would come too late each time.
    pub(crate) fn pause_for_others(&self) -> Option<Duration> {
        let since = self.lately.conflict?.elapsed();
        (since < CONTENDED_FOR).then(|| random_between(SHORTEST_PAUSE, LONGEST_PAUSE))
    }
}

impl Drop for Reference<'_> {
    fn drop(&mut self) {
        let mut entries = entries(self.shard);
        // The map's and this one. Others are only made under the shard's lock, or from one that is held.
        if Arc::strong_count(&self.entry) == 2 {
            entries.remove(&self.order_id);
        }
    }
}

/// A panic while a shard is held cannot leave it half-changed, so poisoning means nothing here.
fn entries(shard: &Shard) -> MutexGuard<'_, Entries> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    fn order_id(id: &str) -> OrderId {
        OrderId::new(id).unwrap()
    }

    async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn one_order_is_worked_on_by_one_at_a_time() {
        let locks = OrderLocks::new();
        let held = locks.try_lock(&order_id("a")).unwrap();
        assert!(locks.try_lock(&order_id("b")).is_some(), "another order");
        assert!(locks.try_lock(&order_id("a")).is_none());
        let a = order_id("a");
        let mut second = Box::pin(locks.lock(&a));
        assert!(!is_ready(&mut second).await, "the second waits");
        drop(held);
        assert!(is_ready(&mut second).await, "and goes on when the first is done");
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_let_in_for_a_moment_as_long_as_somebody_waits_who_knows_of_a_conflict() {
        let locks = OrderLocks::new();
        let a = order_id("a");
        let mut held = locks.try_lock(&a).unwrap();
        assert_eq!(held.pause_for_others(), None);
        held.met_conflict();
        let mut next = Box::pin(locks.lock(&a));
        assert!(!is_ready(&mut next).await);
        drop(held);
        let next = next.await;
        let pause = next.pause_for_others().expect("a pause");
        assert!((SHORTEST_PAUSE..=LONGEST_PAUSE).contains(&pause), "{pause:?}");
        tokio::time::advance(CONTENDED_FOR).await;
        assert_eq!(next.pause_for_others(), None, "it was long ago");
    }

    #[tokio::test]
    async fn an_order_nobody_works_on_takes_no_memory() {
        let locks = OrderLocks::new();
        let a = order_id("a");
        let held = locks.try_lock(&a).unwrap();
        let mut waiting = Box::pin(locks.lock(&a));
        assert!(!is_ready(&mut waiting).await);
        drop(held);
        assert_eq!(locks.len(), 1);
        drop(waiting);
        assert_eq!(locks.len(), 0);
    }
}
