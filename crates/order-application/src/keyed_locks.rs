//! Locks of which there are as many as keys: one for each key that is being worked on, in this process. Who waits for one takes turns
//! by network, however many of another's wait.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::ring::Ring;

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
pub(crate) struct KeyedLocks<K: Clone + Eq + Hash, V: Default> {
    hasher: RandomState,
    shards: Box<[Shard<K, V>]>,
}

type Shard<K, V> = Mutex<HashMap<K, Line<V>>>;

/// Holds a key's lock until it is dropped.
pub(crate) struct KeyGuard<'a, K: Clone + Eq + Hash, V: Default> {
    shard: &'a Shard<K, V>,
    key: K,
    left: V,
}

/// Who waits for a key's lock. `None` if nobody has since it was taken.
struct Line<V>(Option<Box<Waiting<V>>>);

/// Each with its ticket, by network. Those of whom nobody knows where they come from are as of one more.
struct Waiting<V> {
    all: usize,
    last_ticket: u64,
    by_network: Ring<Option<IpAddr>, BTreeMap<u64, oneshot::Sender<V>>>,
}

/// A place in a key's line, until this is dropped.
struct Ticket<'a, K: Clone + Eq + Hash, V: Default> {
    shard: &'a Shard<K, V>,
    key: &'a K,
    network: Option<IpAddr>,
    number: u64,
    coming: oneshot::Receiver<V>,
}

impl<K: Clone + Eq + Hash, V: Default> KeyedLocks<K, V> {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// Takes a key's lock if nobody has it.
    pub(crate) fn try_lock(&self, key: &K) -> Option<KeyGuard<'_, K, V>> {
        let shard = self.shard(key);
        match locked(shard).entry(key.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(Line(None));
                Some(KeyGuard { shard, key: key.clone(), left: V::default() })
            }
        }
    }

    /// Waits for its turn to have a key's lock. It is for somebody of this network, if one knows that.
    ///
    /// # Errors
    /// At once, if [enough](MOST_IN_LINE) wait already, and this network has its share of those that do.
    pub(crate) async fn lock(&self, key: &K, network: Option<IpAddr>) -> Result<KeyGuard<'_, K, V>, Crowded> {
        let shard = self.shard(key);
        let mut ticket = match locked(shard).entry(key.clone()) {
            Entry::Vacant(free) => {
                free.insert(Line(None));
                return Ok(KeyGuard { shard, key: key.clone(), left: V::default() });
            }
            Entry::Occupied(mut line) => {
                let (number, coming) = line.get_mut().join(network)?;
                Ticket { shard, key, network, number, coming }
            }
        };
        match (&mut ticket.coming).await {
            Ok(left) => Ok(KeyGuard { shard, key: key.clone(), left }),
            Err(e) => unreachable!("invariant: whoever is in line is given the lock: {e}"),
        }
    }

    fn shard(&self, key: &K) -> &Shard<K, V> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }
}

impl<V> Line<V> {
    /// Waits as the last of this network, in the order of its ticket.
    fn join(&mut self, network: Option<IpAddr>) -> Result<(u64, oneshot::Receiver<V>), Crowded> {
        let waiting = self.0.get_or_insert_with(Box::default);
        if waiting.is_crowded_by(network) {
            return Err(Crowded);
        }
        let (sender, coming) = oneshot::channel();
        waiting.all += 1;
        waiting.last_ticket += 1;
        waiting.by_network.entry(network).insert(waiting.last_ticket, sender);
        Ok((waiting.last_ticket, coming))
    }
}

impl<V> Waiting<V> {
    /// Whether no more should wait, and this network has its share of those that do. One of which nobody waits always has a place:
    /// whoever knows an order's id would keep everybody else from it.
    fn is_crowded_by(&mut self, network: Option<IpAddr>) -> bool {
        let networks = self.by_network.len();
        let has_its_share = |of_network: &mut BTreeMap<_, _>| of_network.len() * networks >= MOST_IN_LINE;
        self.all >= MOST_IN_LINE && self.by_network.get(network).is_some_and(has_its_share)
    }

    /// Whoever is next.
    fn next(&mut self) -> Option<oneshot::Sender<V>> {
        let next = self.by_network.turn(|of_network| (of_network.pop_first(), of_network.is_empty()));
        let (_, next) = next.flatten()?;
        self.all -= 1;
        Some(next)
    }

    fn leave(&mut self, network: Option<IpAddr>, ticket: u64) {
        let Some(of_network) = self.by_network.get(network) else { return };
        if of_network.remove(&ticket).is_some() {
            self.all -= 1;
        }
        if of_network.is_empty() {
            self.by_network.remove(network);
        }
    }
}

impl<V> Default for Waiting<V> {
    fn default() -> Self {
        Self { all: 0, last_ticket: 0, by_network: Ring::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Default> Deref for KeyGuard<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.left
    }
}

impl<K: Clone + Eq + Hash, V: Default> DerefMut for KeyGuard<'_, K, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.left
    }
}

impl<K: Clone + Eq + Hash, V: Default> Drop for KeyGuard<'_, K, V> {
    /// The next one has the lock, and nobody can come between; or the key is forgotten.
    fn drop(&mut self) {
        let mut lines = locked(self.shard);
        let mut left = std::mem::take(&mut self.left);
        if let Some(Line(Some(waiting))) = lines.get_mut(&self.key) {
            while let Some(next) = waiting.next() {
                match next.send(left) {
                    Ok(()) => return,
                    Err(back) => left = back,
                }
            }
        }
        lines.remove(&self.key);
    }
}

impl<K: Clone + Eq + Hash, V: Default> Drop for Ticket<'_, K, V> {
    fn drop(&mut self) {
        if let Some(Line(Some(waiting))) = locked(self.shard).get_mut(self.key) {
            waiting.leave(self.network, self.number);
        }
        // It was given the lock, and does not know.
        if let Ok(left) = self.coming.try_recv() {
            drop(KeyGuard { shard: self.shard, key: self.key.clone(), left });
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

    use futures_util::FutureExt;

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
        assert_eq!(locks.len(), 0);
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
    async fn networks_take_turns_however_many_of_one_wait_and_whoever_leaves_takes_nobodys() {
        let locks = KeyedLocks::<&str, ()>::new();
        let [many, few] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|address| Some(IpAddr::from(address)));
        let held = locks.try_lock(&"a").unwrap();
        let mut of_many: Vec<_> = (0..4).map(|_| Box::pin(locks.lock(&"a", many))).collect();
        for waits in &mut of_many {
            assert!(!is_ready(waits).await);
        }
        let mut of_few = Box::pin(locks.lock(&"a", few));
        assert!(!is_ready(&mut of_few).await);
        drop(held);
        let first = of_many.remove(0).now_or_never().expect("it was the first of all").unwrap();
        assert!(!is_ready(&mut of_few).await);
        drop(first);
        let of_few = of_few.now_or_never().expect("and not the second of the many").unwrap();
        assert!(!is_ready(&mut of_many[0]).await);
        drop(of_few);
        // It has the lock, and leaves before it knows.
        drop(of_many.remove(0));
        drop(of_many.remove(0).now_or_never().expect("the next").unwrap());
        drop(of_many);
        assert_eq!(locks.len(), 0);
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
        assert_eq!(locks.len(), 0);
    }
}
