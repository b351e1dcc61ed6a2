//! Locks of which there are as many as keys: one for each key that is being worked on, in this process.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Enough that two cores hardly ever meet in one shard.
const SHARDS: usize = 64;

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
    pub(crate) async fn lock(&self, key: &K) -> KeyGuard<'_, K, V> {
        let reference = self.refer(key);
        let left = Arc::clone(&reference.entry).lock_owned().await;
        KeyGuard { left, _reference: reference }
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
}
