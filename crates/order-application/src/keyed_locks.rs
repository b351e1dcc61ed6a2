//! Locks of which there are as many as keys: one for each key that is being worked on, in this process.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Enough that two cores hardly ever meet in one shard.
const SHARDS: usize = 64;

/// How many wait for one lock, about. To one order each of them takes a commit, a few milliseconds, so the last has waited for as long
/// as commands may for the store, a second or so. Fewer would keep out clients that have something to do with one order at a time: a
/// hundred were seen. More would let whoever sends commands to one order without end have others' connections wait with them.
const MOST_IN_LINE: usize = 128;

/// So many wait for a key's lock that no more should.
#[derive(Debug)]
pub(crate) struct Crowded;

/// Locks by key, each with something that its holder leaves to the next in line and that is forgotten when there is none.
/// Only keys that are being worked on take memory.
pub(crate) struct KeyedLocks<K: Clone + Eq + Hash, V> {
    hasher: RandomState,
    shards: Box<[Shard<K, V>]>,
}

type Entries<K, V> = HashMap<K, Arc<Entry<V>>>;
type Shard<K, V> = Mutex<Entries<K, V>>;
type Entry<V> = tokio::sync::Mutex<V>;

/// Holds a key's lock until it is dropped. (Fields are dropped as they stand here, and the reference has to be the last.)
pub(crate) struct KeyGuard<'a, K: Clone + Eq + Hash, V> {
    left: OwnedMutexGuard<V>,
    _reference: Reference<'a, K, V>,
}

/// Keeps a key's entry in being.
struct Reference<'a, K: Clone + Eq + Hash, V> {
    shard: &'a Shard<K, V>,
    key: K,
    entry: Arc<Entry<V>>,
}

impl<K: Clone + Eq + Hash, V: Default> KeyedLocks<K, V> {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// Takes a key's lock if nobody has it.
    pub(crate) fn try_lock(&self, key: &K) -> Option<KeyGuard<'_, K, V>> {
        let reference = self.refer(key);
        let left = Arc::clone(&reference.entry).try_lock_owned().ok()?;
        Some(KeyGuard { left, _reference: reference })
    }

    /// Waits for a key's lock; first come, first served.
    ///
    /// # Errors
    /// At once, if [enough](MOST_IN_LINE) wait already.
    pub(crate) async fn lock(&self, key: &K) -> Result<KeyGuard<'_, K, V>, Crowded> {
        let reference = self.refer(key);
        // Whoever has the lock has the first place.
        if reference.others() > MOST_IN_LINE {
            return Err(Crowded);
        }
        let left = Arc::clone(&reference.entry).lock_owned().await;
        Ok(KeyGuard { left, _reference: reference })
    }

    fn refer(&self, key: &K) -> Reference<'_, K, V> {
        let shard = &self.shards[self.hasher.hash_one(key) as usize % SHARDS];
        let entry = entries(shard).entry(key.clone()).or_default().clone();
        Reference { shard, key: key.clone(), entry }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| entries(shard).len()).sum()
    }
}

impl<K: Clone + Eq + Hash, V> Deref for KeyGuard<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.left
    }
}

impl<K: Clone + Eq + Hash, V> DerefMut for KeyGuard<'_, K, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.left
    }
}

impl<K: Clone + Eq + Hash, V> Reference<'_, K, V> {
    /// How many others have the lock or wait for it. Each has its reference, and a second for the lock or its place in line; the map
    /// has one. (A count of its own would be memory for every command.)
    fn others(&self) -> usize {
        (Arc::strong_count(&self.entry) - 2) / 2
    }
}

impl<K: Clone + Eq + Hash, V> Drop for Reference<'_, K, V> {
    fn drop(&mut self) {
        let mut entries = entries(self.shard);
        // The map's and this one. Others are only made under the shard's lock, or from one that is held.
        if Arc::strong_count(&self.entry) == 2 {
            entries.remove(&self.key);
        }
    }
}

/// A panic while a shard is held cannot leave it half-changed, so poisoning means nothing here.
fn entries<K: Clone + Eq + Hash, V>(shard: &Shard<K, V>) -> MutexGuard<'_, Entries<K, V>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn one_key_is_worked_on_by_one_at_a_time() {
        let locks = KeyedLocks::<&str, ()>::new();
        let held = locks.try_lock(&"a").unwrap();
        assert!(locks.try_lock(&"b").is_some(), "another key");
        assert!(locks.try_lock(&"a").is_none());
        let mut second = Box::pin(locks.lock(&"a"));
        assert!(!is_ready(&mut second).await, "the second waits");
        drop(held);
        assert!(is_ready(&mut second).await, "and goes on when the first is done");
    }

    #[tokio::test]
    async fn a_key_nobody_works_on_takes_no_memory() {
        let locks = KeyedLocks::<&str, ()>::new();
        let held = locks.try_lock(&"a").unwrap();
        let mut waiting = Box::pin(locks.lock(&"a"));
        assert!(!is_ready(&mut waiting).await);
        drop(held);
        assert_eq!(locks.len(), 1);
        drop(waiting);
        assert_eq!(locks.len(), 0);
    }

    #[tokio::test]
    async fn only_so_many_wait_for_one_key_and_whoever_leaves_makes_room_for_another() {
        let locks = KeyedLocks::<&str, ()>::new();
        let held = locks.try_lock(&"a").unwrap();
        let mut waiting: Vec<_> = (0..MOST_IN_LINE).map(|_| Box::pin(locks.lock(&"a"))).collect();
        for waits in &mut waiting {
            assert!(!is_ready(waits).await);
            assert!(locks.try_lock(&"a").is_none(), "which leaves nothing behind");
        }
        assert!(is_ready(&mut Box::pin(locks.lock(&"a"))).await, "one more is turned away at once");
        assert!(locks.lock(&"b").await.is_ok(), "another key");
        drop(waiting.pop());
        let mut next = Box::pin(locks.lock(&"a"));
        assert!(!is_ready(&mut next).await);
        assert!(is_ready(&mut Box::pin(locks.lock(&"a"))).await);
        drop(held);
        assert!(waiting.remove(0).await.is_ok(), "its turn has come");
        assert!(!is_ready(&mut Box::pin(locks.lock(&"a"))).await, "somebody more may wait");
    }
}
