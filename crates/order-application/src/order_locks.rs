//! One lock per order that is being worked on, in this process.
//!
//! It spares two commands to one order a conflict in the store; it is not what keeps them apart. The store's version check
//! is, since other instances know nothing of these locks.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use order_domain::OrderId;
use tokio::sync::OwnedMutexGuard;

/// Enough that two cores hardly ever meet in one shard.
const SHARDS: usize = 64;

/// Commands that expect other instances to change the order, after one has been found to.
const WARY_COMMANDS: u8 = 16;

/// Locks by order. Only orders that are being worked on take memory. While they wait, commands (`C`) may be taken along
/// by whoever has the lock.
pub(crate) struct OrderLocks<C> {
    hasher: RandomState,
    shards: Box<[Shard<C>]>,
}

type Entries<C> = HashMap<OrderId, Arc<Entry<C>>>;
type Shard<C> = Mutex<Entries<C>>;

/// The lock of one order, and who waits for it.
struct Entry<C> {
    lock: Arc<tokio::sync::Mutex<Lately>>,
    line: Mutex<Line<C>>,
}

struct Line<C> {
    next_ticket: u64,
    waiting: VecDeque<(u64, C)>,
}

/// What whoever has an order's lock leaves to the next in line; forgotten when there is none.
#[derive(Debug, Default)]
struct Lately {
    /// Other instances have changed the order too: so many commands more go on expecting it.
    wary_commands: u8,
}

/// Holds an order's lock until it is dropped.
pub(crate) struct OrderGuard<'a, C> {
    guard: Option<OwnedMutexGuard<Lately>>,
    reference: Reference<'a, C>,
}

/// A place in the line for an order's lock, until it is dropped.
pub(crate) struct Waiting<'a, C> {
    ticket: u64,
    reference: Reference<'a, C>,
}

/// Keeps an order's entry in being.
struct Reference<'a, C> {
    shard: &'a Shard<C>,
    order_id: OrderId,
    entry: Arc<Entry<C>>,
}

impl<C> OrderLocks<C> {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// Takes an order's lock if nobody has it.
    pub(crate) fn try_lock(&self, order_id: &OrderId) -> Option<OrderGuard<'_, C>> {
        let reference = self.refer(order_id);
        let guard = Arc::clone(&reference.entry.lock).try_lock_owned().ok()?;
        Some(OrderGuard { guard: Some(guard), reference })
    }

    /// Gets in line. Whoever has the lock may take `command` along.
    pub(crate) fn wait(&self, order_id: &OrderId, command: C) -> Waiting<'_, C> {
        let reference = self.refer(order_id);
        let ticket = {
            let mut line = reference.entry.line();
            line.next_ticket += 1;
            let ticket = line.next_ticket;
            line.waiting.push_back((ticket, command));
            ticket
        };
        Waiting { ticket, reference }
    }

    fn refer(&self, order_id: &OrderId) -> Reference<'_, C> {
        let shard = &self.shards[self.hasher.hash_one(order_id) as usize % SHARDS];
        let entry = entries(shard).entry(order_id.clone()).or_default().clone();
        Reference { shard, order_id: order_id.clone(), entry }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| entries(shard).len()).sum()
    }
}

impl<'a, C> Waiting<'a, C> {
    /// Waits for the lock; first come, first served.
    pub(crate) async fn lock(&self) -> OrderGuard<'a, C> {
        let guard = Arc::clone(&self.reference.entry.lock).lock_owned().await;
        OrderGuard { guard: Some(guard), reference: self.reference.again() }
    }

    /// Takes the command back. `false` if somebody has taken it along.
    pub(crate) fn take_back(&self) -> bool {
        let mut line = self.reference.entry.line();
        let found = line.waiting.iter().position(|(ticket, _)| *ticket == self.ticket);
        found.and_then(|index| line.waiting.remove(index)).is_some()
    }
}

impl<C> Drop for Waiting<'_, C> {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl<C> OrderGuard<'_, C> {
    /// Takes commands along that wait for the lock, the first in line first.
    pub(crate) fn take_along(&mut self, at_most: usize) -> Vec<C> {
        let mut line = self.reference.entry.line();
        let count = line.waiting.len().min(at_most);
        line.waiting.drain(..count).map(|(_, command)| command).collect()
    }

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

impl<C> Drop for OrderGuard<'_, C> {
    fn drop(&mut self) {
        // The lock before the reference, which has to be the last.
        drop(self.guard.take());
    }
}

impl<C> Reference<'_, C> {
    fn again(&self) -> Self {
        Self { shard: self.shard, order_id: self.order_id.clone(), entry: Arc::clone(&self.entry) }
    }
}

impl<C> Drop for Reference<'_, C> {
    fn drop(&mut self) {
        let mut entries = entries(self.shard);
        // The map's and this one. Others are only made under the shard's lock, or from one that is held.
        if Arc::strong_count(&self.entry) == 2 {
            entries.remove(&self.order_id);
        }
    }
}

impl<C> Entry<C> {
    fn line(&self) -> MutexGuard<'_, Line<C>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Default for Entry<C> {
    fn default() -> Self {
        let line = Line { next_ticket: 0, waiting: VecDeque::new() };
        Self { lock: Arc::default(), line: Mutex::new(line) }
    }
}

/// A panic while a shard is held cannot leave it half-changed, so poisoning means nothing here.
fn entries<C>(shard: &Shard<C>) -> MutexGuard<'_, Entries<C>> {
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
        let waiting = locks.wait(&order_id("a"), ());
        let mut second = Box::pin(waiting.lock());
        assert!(!is_ready(&mut second).await, "the second waits");
        drop(held);
        assert!(is_ready(&mut second).await, "and goes on when the first is done");
    }

    #[tokio::test]
    async fn the_next_in_line_learns_what_was_found_and_nobody_after_that() {
        let locks = OrderLocks::new();
        let mut held = locks.try_lock(&order_id("a")).unwrap();
        assert!(!held.is_contended());
        held.found(true);
        let waiting = locks.wait(&order_id("a"), ());
        drop(held);
        let next = waiting.lock().await;
        assert!(next.is_contended());
        drop((waiting, next));
        assert!(!locks.try_lock(&order_id("a")).unwrap().is_contended());
    }

    #[tokio::test]
    async fn who_waits_may_be_taken_along_in_the_order_of_coming_and_once() {
        let locks = OrderLocks::new();
        let mut held = locks.try_lock(&order_id("a")).unwrap();
        let [first, second, third] = ["1", "2", "3"].map(|command| locks.wait(&order_id("a"), command));
        drop(second);
        assert_eq!(held.take_along(1), ["1"]);
        assert!(!first.take_back());
        assert_eq!(held.take_along(9), ["3"]);
        assert!(!third.take_back());
        let fourth = locks.wait(&order_id("a"), "4");
        assert!(fourth.take_back());
        assert!(held.take_along(9).is_empty());
    }

    #[tokio::test]
    async fn an_order_nobody_works_on_takes_no_memory() {
        let locks = OrderLocks::new();
        let held = locks.try_lock(&order_id("a")).unwrap();
        let waiting = locks.wait(&order_id("a"), ());
        assert!(!is_ready(&mut Box::pin(waiting.lock())).await);
        drop(held);
        assert_eq!(locks.len(), 1);
        drop(waiting);
        assert_eq!(locks.len(), 0);
    }
}
