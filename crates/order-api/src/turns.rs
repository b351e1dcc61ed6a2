//! Work of which only so much is done at a time: clients take turns, however much each of them asks for.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::asked_by::AskedBy;

/// Turns of clients that are told apart by a key.
#[derive(Clone)]
pub struct Turns<K: Copy + Eq + Hash>(Arc<Mutex<Line<K>>>);

struct Line<K: Copy + Eq + Hash> {
    /// How many more may be at work.
    free: usize,
    /// Clients for which something waits, in the order of their turns, each once.
    clients: VecDeque<K>,
    /// What waits for each of them, first come first served.
    waiting: HashMap<K, VecDeque<oneshot::Sender<Turn<K>>>>,
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// So many at a time.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Line { free: at_once, clients: VecDeque::new(), waiting: HashMap::new() })))
    }

    /// Waits for a turn, which lasts until it is dropped.
    pub async fn turn(&self, client: K) -> Turn<K> {
        let coming = {
            let mut line = self.line();
            if line.free > 0 {
                line.free -= 1;
                return Turn(self.clone());
            }
            line.wait(client)
        };
        match coming.await {
            Ok(turn) => turn,
            Err(e) => unreachable!("invariant: whoever waits in line is given a turn: {e}"),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<K>> {
        // Nothing is left half-done by a panic: each change is a few moves.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns<Option<u64>> {
    /// Waits for a turn of a connection. All who come by none take theirs together.
    pub(crate) async fn turn_of(&self, asked_by: Option<&AskedBy>) -> Turn<Option<u64>> {
        self.turn(asked_by.map(|asked_by| asked_by.0.number())).await
    }
}

impl<K: Copy + Eq + Hash> Line<K> {
    fn wait(&mut self, client: K) -> oneshot::Receiver<Turn<K>> {
        let (sender, coming) = oneshot::channel();
        let waiting = self.waiting.entry(client).or_default();
        if waiting.is_empty() {
            self.clients.push_back(client);
        }
        waiting.push_back(sender);
        coming
    }

    /// Whoever is next and still waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn<K>>> {
        while let Some(client) = self.clients.pop_front() {
            let Some(mut waiting) = self.waiting.remove(&client) else { continue };
            let next = std::iter::from_fn(|| waiting.pop_front()).find(|sender| !sender.is_closed());
            if !waiting.is_empty() {
                self.waiting.insert(client, waiting);
                self.clients.push_back(client);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

/// Somebody's turn.
pub struct Turn<K: Copy + Eq + Hash>(Turns<K>);

impl<K: Copy + Eq + Hash> Drop for Turn<K> {
    /// The next one's begins, or the one's after that if it has left in this moment.
    fn drop(&mut self) {
        let mut line = self.0.line();
        let next = line.next();
        if next.is_none() {
            line.free += 1;
        }
        drop(line);
        if let Some(sender) = next {
            drop(sender.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn clients_take_turns_however_much_each_asks_for() {
        let turns = Turns::new(1);
        let first = turns.turn("many").await;
        let mut of_many: Vec<_> = (0..10).map(|_| Box::pin(turns.turn("many"))).collect();
        assert!(of_many.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut of_one = Box::pin(turns.turn("one"));
        assert!((&mut of_one).now_or_never().is_none());
        // One that has left is nobody's turn.
        drop(of_many.remove(0));
        drop(first);
        let second = (&mut of_many[0]).now_or_never().expect("whoever came first");
        assert!((&mut of_one).now_or_never().is_none());
        drop(second);
        assert!((&mut of_one).now_or_never().is_some(), "and not the next of the same");
        drop((of_one, of_many));
        assert!(turns.turn("one").now_or_never().is_some(), "nobody waits any more");
    }
}
