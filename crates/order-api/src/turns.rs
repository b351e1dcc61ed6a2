//! Work of which only so much is done at a time: connections take turns, however much each of them asks for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::asked_by::AskedBy;

/// See the module.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<Line>>);

/// `None` stands for all who come by no connection.
type ConnectionNumber = Option<u64>;

struct Line {
    /// How many more may be at work.
    free: usize,
    /// Connections for which something waits, in the order of their turns, each once.
    connections: VecDeque<ConnectionNumber>,
    /// What waits for each of them, first come first served.
    waiting: HashMap<ConnectionNumber, VecDeque<oneshot::Sender<Turn>>>,
}

impl Turns {
    /// So many at a time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Line {
            free: at_once,
            connections: VecDeque::new(),
            waiting: HashMap::new(),
        })))
    }

    /// Waits for a turn, which lasts until it is dropped.
    pub(crate) async fn turn(&self, asked_by: Option<&AskedBy>) -> Turn {
        let coming = {
            let mut line = self.line();
            if line.free > 0 {
                line.free -= 1;
                return Turn(self.clone());
            }
            line.wait(asked_by.map(|asked_by| asked_by.0.number()))
        };
        match coming.await {
            Ok(turn) => turn,
            Err(e) => unreachable!("invariant: whoever waits in line is given a turn: {e}"),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing is left half-done by a panic: each change is a few moves.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn wait(&mut self, connection: ConnectionNumber) -> oneshot::Receiver<Turn> {
        let (sender, coming) = oneshot::channel();
        let waiting = self.waiting.entry(connection).or_default();
        if waiting.is_empty() {
            self.connections.push_back(connection);
        }
        waiting.push_back(sender);
        coming
    }

    /// Whoever is next and still waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(connection) = self.connections.pop_front() {
            let Some(mut waiting) = self.waiting.remove(&connection) else { continue };
            waiting.retain(|sender| !sender.is_closed());
            let next = waiting.pop_front();
            if !waiting.is_empty() {
                self.waiting.insert(connection, waiting);
                self.connections.push_back(connection);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

/// Somebody's turn.
pub(crate) struct Turn(Turns);

impl Drop for Turn {
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
    use crate::asked_by::tests::TestConnection;

    #[tokio::test]
    async fn connections_take_turns_however_much_each_asks_for() {
        let turns = Turns::new(1);
        let [many, one] = [1, 2].map(|number| TestConnection::new(number, [127, 0, 0, 1]).asks());
        let first = turns.turn(Some(&many)).await;
        let mut of_many: Vec<_> = (0..10).map(|_| Box::pin(turns.turn(Some(&many)))).collect();
        assert!(of_many.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut of_one = Box::pin(turns.turn(Some(&one)));
        assert!((&mut of_one).now_or_never().is_none());
        // One that has left is nobody's turn.
        drop(of_many.remove(0));
        drop(first);
        let second = (&mut of_many[0]).now_or_never().expect("whoever came first");
        assert!((&mut of_one).now_or_never().is_none());
        drop(second);
        assert!((&mut of_one).now_or_never().is_some(), "and not the next of the same");
        drop((of_one, of_many));
        assert!(turns.turn(None).now_or_never().is_some(), "nobody waits any more");
    }
}
