//! Work of which only so much is done at a time: clients take turns, however much each of them asks for. Where it is requests that
//! ask, machines do, and the connections of each. Whoever has left leaves the line.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use order_application::Ring;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::asked_by::{AskedBy, InLine};

/// How long a request waits for its turn, at most: as long as a command does for others to the same order. Whoever asks is better
/// told to come again than kept waiting for whatever those before it wait for.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Turns of clients that are told apart by a key `K`, and among those of one key by `M`.
pub struct Turns<K: Copy + Eq + Hash, M: Copy + Eq + Hash = ()>(Arc<Mutex<Line<K, M>>>);

/// Turns of those who ask: of networks, and in each of its connections. `None` stands for all who come by no connection.
pub(crate) type TurnsOfAskers = Turns<Option<IpAddr>, Option<u64>>;

/// Why somebody who waited in line gets no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// Nobody is to wait any more.
    Over,
    /// The client says no more, and may have left. Others come first.
    MayHaveLeft,
    /// Others had theirs for as long as anybody waits.
    TooLong,
}

struct Line<K: Copy + Eq + Hash, M: Copy + Eq + Hash> {
    /// How many more may be at work.
    free: usize,
    /// The last ticket that was given out.
    last_ticket: u64,
    waiting: Ring<K, Ring<M, Tickets<K, M>>>,
}

/// What waits for a client, first come first served.
type Tickets<K, M> = BTreeMap<u64, oneshot::Sender<Turn<K, M>>>;

impl<K: Copy + Eq + Hash, M: Copy + Eq + Hash> Turns<K, M> {
    /// So many at a time.
    pub fn new(at_once: usize) -> Self {
        let line = Line { free: at_once, last_ticket: 0, waiting: Ring::default() };
        Self(Arc::new(Mutex::new(line)))
    }

    /// A turn, if one is free, or a ticket with which to wait for one.
    fn take(&self, client: (K, M)) -> Result<Turn<K, M>, Ticket<'_, K, M>> {
        let mut line = self.line();
        if line.free > 0 {
            line.free -= 1;
            return Ok(Turn(self.clone()));
        }
        let (number, coming) = line.wait(client);
        Err(Ticket { turns: self, client, number, coming })
    }

    fn line(&self) -> MutexGuard<'_, Line<K, M>> {
        // Nothing is left half-done by a panic: each change is a few moves.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// Waits for a turn, which lasts until it is dropped.
    pub async fn turn(&self, client: K) -> Turn<K> {
        match self.take((client, ())) {
            Ok(turn) => turn,
            Err(mut ticket) => poll_fn(|cx| ticket.poll(cx)).await,
        }
    }
}

impl TurnsOfAskers {
    /// Waits for a turn, which lasts until it is dropped: not for very long, and no longer than until it is over.
    ///
    /// # Errors
    /// See [`NoTurn`]. Whoever finds a turn free has it in any case.
    pub(crate) async fn turn_of(
        &self,
        asked_by: Option<&AskedBy>,
        over: &CancellationToken,
    ) -> Result<Turn<Option<IpAddr>, Option<u64>>, NoTurn> {
        let asker = asked_by.map(AskedBy::asker);
        let client = (asker.map(|asker| asker.network), asker.map(|asker| asker.connection));
        let mut ticket = match self.take(client) {
            Ok(turn) => return Ok(turn),
            Err(ticket) => ticket,
        };
        let _in_line = InLine::begin(asked_by);
        // It is found out by the task that serves the connection, which is the one that asks here.
        let may_have_left = poll_fn(|_| match asked_by {
            Some(asked_by) if asked_by.0.may_have_left() => Poll::Ready(()),
            _ => Poll::Pending,
        });
        tokio::select! {
            biased;
            turn = poll_fn(|cx| ticket.poll(cx)) => Ok(turn),
            () = over.cancelled() => Err(NoTurn::Over),
            () = may_have_left => Err(NoTurn::MayHaveLeft),
            () = tokio::time::sleep(MAX_WAIT) => Err(NoTurn::TooLong),
        }
    }
}

impl<K: Copy + Eq + Hash, M: Copy + Eq + Hash> Clone for Turns<K, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Copy + Eq + Hash, M: Copy + Eq + Hash> Line<K, M> {
    fn wait(&mut self, (key, member): (K, M)) -> (u64, oneshot::Receiver<Turn<K, M>>) {
        let (sender, coming) = oneshot::channel();
        self.last_ticket += 1;
        self.waiting.entry(key).entry(member).insert(self.last_ticket, sender);
        (self.last_ticket, coming)
    }

    fn leave(&mut self, (key, member): (K, M), ticket: u64) {
        let Some(members) = self.waiting.get(key) else { return };
        if let Some(tickets) = members.get(member) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                members.remove(member);
            }
        }
        if members.is_empty() {
            self.waiting.remove(key);
        }
    }

    /// Whoever is next.
    fn next(&mut self) -> Option<oneshot::Sender<Turn<K, M>>> {
        let next = self.waiting.turn(|members| {
            let next = members.turn(|tickets| (tickets.pop_first(), tickets.is_empty()));
            (next, members.is_empty())
        });
        next.flatten().flatten().map(|(_, sender)| sender)
    }
}

/// A place in line, until it is dropped.
struct Ticket<'a, K: Copy + Eq + Hash, M: Copy + Eq + Hash> {
    turns: &'a Turns<K, M>,
    client: (K, M),
    number: u64,
    coming: oneshot::Receiver<Turn<K, M>>,
}

impl<K: Copy + Eq + Hash, M: Copy + Eq + Hash> Ticket<'_, K, M> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<K, M>> {
        Pin::new(&mut self.coming).poll(cx).map(|turn| match turn {
            Ok(turn) => turn,
            Err(e) => unreachable!("invariant: whoever waits in line is given a turn: {e}"),
        })
    }
}

impl<K: Copy + Eq + Hash, M: Copy + Eq + Hash> Drop for Ticket<'_, K, M> {
    fn drop(&mut self) {
        self.turns.line().leave(self.client, self.number);
    }
}

/// Somebody's turn.
pub struct Turn<K: Copy + Eq + Hash, M: Copy + Eq + Hash = ()>(Turns<K, M>);

impl<K: Copy + Eq + Hash, M: Copy + Eq + Hash> Drop for Turn<K, M> {
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

    type AskersTurn = Turn<Option<IpAddr>, Option<u64>>;
    type Waiting<'a> = Pin<Box<dyn Future<Output = Result<AskersTurn, NoTurn>> + 'a>>;

    struct Line {
        turns: TurnsOfAskers,
        over: CancellationToken,
    }

    /// A line behind somebody who has the only turn.
    fn taken() -> (Line, AskersTurn) {
        let line = Line { turns: Turns::new(1), over: CancellationToken::new() };
        let first = line.turns.take((None, None)).ok().expect("it is free");
        (line, first)
    }

    fn client(number: u64, network: u8) -> AskedBy {
        TestConnection::new(number, [192, 0, 2, network]).asks()
    }

    fn wait<'a>(line: &'a Line, asked_by: &'a AskedBy) -> Waiting<'a> {
        let mut waiting: Waiting<'a> = Box::pin(line.turns.turn_of(Some(asked_by), &line.over));
        assert!((&mut waiting).now_or_never().is_none());
        waiting
    }

    fn turn_of(waiting: &mut Waiting<'_>) -> Option<AskersTurn> {
        waiting.now_or_never().map(Result::unwrap)
    }

    fn is_empty(line: &Line) -> bool {
        line.turns.line().waiting.is_empty()
    }

    #[tokio::test]
    async fn connections_take_turns_however_much_each_asks_for() {
        let (line, first) = taken();
        let [many, one] = [1, 2].map(|number| client(number, 1));
        let mut of_many: Vec<_> = (0..10).map(|_| wait(&line, &many)).collect();
        let mut of_one = wait(&line, &one);
        // One that has left is nobody's turn.
        drop(of_many.remove(0));
        drop(first);
        let second = turn_of(&mut of_many[0]).expect("whoever came first");
        assert!(turn_of(&mut of_one).is_none());
        drop(second);
        assert!(turn_of(&mut of_one).is_some(), "and not the next of the same");
        drop((of_one, of_many));
        assert!(is_empty(&line) && line.turns.take((None, None)).is_ok(), "nobody waits any more");
    }

    #[tokio::test]
    async fn machines_take_turns_however_many_connections_each_has() {
        let (line, first) = taken();
        let crowd: Vec<_> = (0..100).map(|number| client(number, 1)).collect();
        let mut of_crowd: Vec<_> = crowd.iter().map(|asked_by| wait(&line, asked_by)).collect();
        let other = client(1_000, 2);
        let mut of_other = [wait(&line, &other), wait(&line, &other)];
        let mut turn = first;
        for number in 0..2 {
            drop(turn);
            drop(turn_of(&mut of_crowd[number]).expect("the next of the crowd"));
            turn = turn_of(&mut of_other[number]).expect("and then the other");
        }
        drop(turn);
        assert!(turn_of(&mut of_crowd[2]).is_some());
    }

    #[tokio::test]
    async fn whoever_leaves_the_line_leaves_nothing_behind() {
        let (line, _first) = taken();
        let clients: Vec<_> = (0..100).map(|number| client(number % 10, (number % 3) as u8)).collect();
        let mut waiting: Vec<_> = clients.iter().map(|asked_by| wait(&line, asked_by)).collect();
        assert!(!is_empty(&line));
        waiting.clear();
        assert!(is_empty(&line));
    }

    #[tokio::test]
    async fn whoever_may_have_left_waits_no_more_and_nobody_does_when_it_is_over() {
        let (line, _first) = taken();
        let leaving = TestConnection::new(1, [192, 0, 2, 1]);
        let (leaves, stays) = (leaving.asks(), client(2, 1));
        let [mut left, mut stayed] = [wait(&line, &leaves), wait(&line, &stays)];
        leaving.leave();
        assert_eq!((&mut left).now_or_never().unwrap().err(), Some(NoTurn::MayHaveLeft));
        assert!(turn_of(&mut stayed).is_none());
        line.over.cancel();
        assert_eq!((&mut stayed).now_or_never().unwrap().err(), Some(NoTurn::Over));
        assert!(is_empty(&line));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_whoever_has_waited_long_enough_leaves_the_line() {
        let (line, first) = taken();
        let [early, late] = [client(1, 1), client(2, 2)];
        let mut waited_long = wait(&line, &early);
        tokio::time::advance(MAX_WAIT - Duration::from_millis(1)).await;
        let mut has_just_come = wait(&line, &late);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((&mut waited_long).now_or_never().unwrap().err(), Some(NoTurn::TooLong));
        drop(first);
        assert!(turn_of(&mut has_just_come).is_some(), "it is the next");
        assert!(is_empty(&line));
    }

    #[tokio::test]
    async fn whoever_waits_in_line_is_not_in_service() {
        let (line, first) = taken();
        let connection = TestConnection::new(1, [192, 0, 2, 1]);
        let asks = connection.asks();
        let mut waiting = wait(&line, &asks);
        assert!(connection.is_in_line());
        drop(first);
        let _turn = turn_of(&mut waiting).unwrap();
        assert!(!connection.is_in_line());
    }
}
