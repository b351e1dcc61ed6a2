//! Locks of which there are as many as keys: one for each key that is being worked on, in this process.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Enough that two cores hardly ever meet in one shard.
const SHARDS: usize = 64;

/// How many wait for one lock before those of machines that have their share of them are turned away. To one order each of them takes a
/// commit, a few milliseconds, so the last has waited for as long as commands may for the store, a second or so. Fewer would keep out clients that have something to do with one order at a time: a
/// hundred were seen. More would let whoever sends commands to one order without end have others' connections wait with them.
const MOST_IN_LINE: usize = 128;

/// So many wait for a key's lock that no more should from where most of them come.
#[derive(Debug)]
pub(crate) struct Crowded;

/// Locks by key, each with something that its holder leaves to the next in line and that is forgotten when there is none.
/// Only keys that are being worked on take memory.
pub(crate) struct KeyedLocks<K: Clone + Eq + Hash, V> {
    hasher: RandomState,
    shards: Box<[Shard<K, V>]>,
    /// Who waits, by key. Only whoever waits touches it, and where nobody does it has nothing.
    lines: Mutex<HashMap<K, Line>>,
}

type Entries<K, V> = HashMap<K, Arc<Entry<V>>>;
type Shard<K, V> = Mutex<Entries<K, V>>;
type Entry<V> = tokio::sync::Mutex<V>;

/// Holds a key's lock until it is dropped. (Fields are dropped as they stand here, and the reference has to be the last.)
pub(crate) struct KeyGuard<'a, K: Clone + Eq + Hash, V> {
    left: OwnedMutexGuard<V>,
    _reference: Reference<'a, K, V>,
}

/// How many wait for a key's lock.
#[derive(Default)]
struct Line {
    all: usize,
    /// How many of them are from which network. Those of whom nobody knows where they come from count as of one more.
    from: HashMap<Option<IpAddr>, usize>,
}

/// A place in a key's line, until this is dropped.
struct Place<'a, K: Clone + Eq + Hash> {
    lines: &'a Mutex<HashMap<K, Line>>,
    key: &'a K,
    from: Option<IpAddr>,
}

/// Keeps a key's entry in being.
struct Reference<'a, K: Clone + Eq + Hash, V> {
    shard: &'a Shard<K, V>,
    key: K,
    /// `None` only while this is dropped.
    entry: Option<Arc<Entry<V>>>,
}

impl<K: Clone + Eq + Hash, V: Default> KeyedLocks<K, V> {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { hasher: RandomState::new(), shards, lines: Mutex::default() }
    }

    /// Takes a key's lock if nobody has it.
    pub(crate) fn try_lock(&self, key: &K) -> Option<KeyGuard<'_, K, V>> {
        let (reference, entry) = self.refer(key);
        let left = entry.try_lock_owned().ok()?;
        Some(KeyGuard { left, _reference: reference })
    }

    /// Waits for a key's lock; first come, first served. It is for somebody of this network, if one knows that.
    ///
    /// # Errors
    /// At once, if [enough](MOST_IN_LINE) wait already, and this network has its share of those that do.
    pub(crate) async fn lock(&self, key: &K, from: Option<IpAddr>) -> Result<KeyGuard<'_, K, V>, Crowded> {
        let place = Place::take(&self.lines, key, from)?;
        let (reference, entry) = self.refer(key);
        let left = entry.lock_owned().await;
        drop(place);
        Ok(KeyGuard { left, _reference: reference })
    }

    fn refer(&self, key: &K) -> (Reference<'_, K, V>, Arc<Entry<V>>) {
        let shard = &self.shards[self.hasher.hash_one(key) as usize % SHARDS];
        let entry = locked(shard).entry(key.clone()).or_default().clone();
        (Reference { shard, key: key.clone(), entry: Some(Arc::clone(&entry)) }, entry)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
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

impl<'a, K: Clone + Eq + Hash> Place<'a, K> {
    fn take(lines: &'a Mutex<HashMap<K, Line>>, key: &'a K, from: Option<IpAddr>) -> Result<Self, Crowded> {
        let mut all = locked(lines);
        if all.get(key).is_some_and(|line| line.is_crowded_by(from)) {
            return Err(Crowded);
        }
        all.entry(key.clone()).or_default().add(from);
        Ok(Self { lines, key, from })
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<'_, K> {
    fn drop(&mut self) {
        let mut all = locked(self.lines);
        if let Some(line) = all.get_mut(self.key) {
            line.remove(self.from);
            if line.all == 0 {
                all.remove(self.key);
            }
        }
    }
}

impl Line {
    /// Whether no more should wait, and this network has its share of those that do. One of which nobody waits always has a place:
    /// whoever knows an order's id would keep everybody else from it.
    fn is_crowded_by(&self, from: Option<IpAddr>) -> bool {
        let has_its_share = |waiting: &usize| waiting * self.from.len() >= MOST_IN_LINE;
        self.all >= MOST_IN_LINE && self.from.get(&from).is_some_and(has_its_share)
    }

    fn add(&mut self, from: Option<IpAddr>) {
        self.all += 1;
        *self.from.entry(from).or_default() += 1;
    }

    fn remove(&mut self, from: Option<IpAddr>) {
        self.all -= 1;
        if let MapEntry::Occupied(mut waiting) = self.from.entry(from) {
            *waiting.get_mut() -= 1;
            if *waiting.get() == 0 {
                waiting.remove();
            }
        }
    }
}

impl<K: Clone + Eq + Hash, V> Drop for Reference<'_, K, V> {
    fn drop(&mut self) {
        let mut entries = locked(self.shard);
        // The map's and this one. Others are only made under the shard's lock, or from one that is held. It goes under that lock, so that of
        // two that end in the same moment one is the last.
        let is_last = self.entry.take().is_some_and(|entry| Arc::strong_count(&entry) == 2);
        if is_last {
            entries.remove(&self.key);
        }
    }
}

/// A panic while one of the maps is held cannot leave it half-changed, so poisoning means nothing here.
fn locked<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await
    }

    #[test]
    fn nothing_is_left_behind_by_two_that_end_in_the_same_moment() {
        let locks = KeyedLocks::<u32, ()>::new();
        let there = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            for key in 0..200_000 {
                // At the same time as the other one, to within nanoseconds.
                there.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                while there.load(std::sync::atomic::Ordering::SeqCst) < 2 * (key as usize + 1) {
                    std::thread::yield_now();
                }
                drop(locks.try_lock(&key));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            scope.spawn(work);
        });
        assert_eq!(locks.len(), 0);
    }

    #[tokio::test]
    async fn one_key_is_worked_on_by_one_at_a_time() {
        let locks = KeyedLocks::<&str, ()>::new();
        let held = locks.try_lock(&"a").unwrap();
        assert!(locks.try_lock(&"b").is_some(), "another key");
        assert!(locks.try_lock(&"a").is_none());
        let mut second = Box::pin(locks.lock(&"a", None));
        assert!(!is_ready(&mut second).await, "the second waits");
        drop(held);
        assert!(is_ready(&mut second).await, "and goes on when the first is done");
    }

    #[tokio::test]
    async fn a_key_nobody_works_on_takes_no_memory() {
        let locks = KeyedLocks::<&str, ()>::new();
        let held = locks.try_lock(&"a").unwrap();
        let mut waiting = Box::pin(locks.lock(&"a", None));
        assert!(!is_ready(&mut waiting).await);
        drop(held);
        assert_eq!(locks.len(), 1);
        drop(waiting);
        assert_eq!((locks.len(), locked(&locks.lines).len()), (0, 0));
    }

    #[tokio::test]
    async fn only_so_many_wait_for_one_key_and_whoever_leaves_makes_room_for_another() {
        let locks = KeyedLocks::<&str, ()>::new();
        let held = locks.try_lock(&"a").unwrap();
        let mut waiting: Vec<_> = (0..MOST_IN_LINE).map(|_| Box::pin(locks.lock(&"a", None))).collect();
        for waits in &mut waiting {
            assert!(!is_ready(waits).await);
            assert!(locks.try_lock(&"a").is_none(), "which leaves nothing behind");
        }
        assert!(is_ready(&mut Box::pin(locks.lock(&"a", None))).await, "one more is turned away at once");
        assert!(locks.lock(&"b", None).await.is_ok(), "another key");
        drop(waiting.pop());
        let mut next = Box::pin(locks.lock(&"a", None));
        assert!(!is_ready(&mut next).await);
        assert!(is_ready(&mut Box::pin(locks.lock(&"a", None))).await);
        drop(held);
        assert!(waiting.remove(0).await.is_ok(), "its turn has come");
        assert!(!is_ready(&mut Box::pin(locks.lock(&"a", None))).await, "somebody more may wait");
    }

    #[tokio::test]
    async fn when_so_many_wait_only_those_are_turned_away_whose_network_has_its_share() {
        let locks = KeyedLocks::<&str, ()>::new();
        let [many, few] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|address| Some(IpAddr::from(address)));
        let is_turned_away = async |from| is_ready(&mut Box::pin(locks.lock(&"a", from))).await;
        let held = locks.try_lock(&"a").unwrap();
        let mut line = Vec::new();
        for from in std::iter::repeat_n(many, MOST_IN_LINE).chain(std::iter::repeat_n(few, MOST_IN_LINE / 2))
        {
            assert!(!is_turned_away(few).await && !is_turned_away(None).await, "each has its share");
            let mut waits = Box::pin(locks.lock(&"a", from));
            assert!(!is_ready(&mut waits).await);
            line.push(waits);
        }
        assert!(is_turned_away(many).await);
        assert!(is_turned_away(few).await, "it has its half");
        assert!(!is_turned_away(None).await, "whoever comes from nowhere");
        assert!(locks.lock(&"b", many).await.is_ok(), "another key");
        drop(line.pop());
        assert!(!is_turned_away(few).await, "one of them has left");
        assert!(is_turned_away(many).await, "which makes no room for others");
        drop(held);
        assert!(line.remove(0).await.is_ok(), "first come, first served");
        drop(line);
        assert_eq!((locks.len(), locked(&locks.lines).len()), (0, 0));
    }
}
