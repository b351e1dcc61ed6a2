//! How many bytes of answers may lie about that their clients have not taken, of all connections together, and whose turn it is when
//! there is no more room.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use order_application::Ring;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot};

/// How many answers may wait for room. Each of them has its request's head, which nobody counts until it has room.
const MOST_WAITING: usize = 2048;
/// Whole answers that wait for room are there already, and nobody counts them: they may be such a part of all that there is room for.
const PART_OF_WHOLE_ANSWERS: usize = 8;

/// A network's share of all.
const PART_OF_MUCH: usize = 64;

/// Where the room for bytes comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purse {
    /// The little that each connection has for itself.
    Own,
    /// What all share.
    Shared,
}

/// The room that all connections share.
pub(crate) struct AnswerBudget {
    bytes: usize,
    free: Semaphore,
    line: Mutex<Line>,
    /// Whether somebody is in line.
    is_short: AtomicBool,
    /// Answers that wait for room.
    waiting: AtomicUsize,
    /// How many of them are from where.
    waiting_from: Mutex<HashMap<IpAddr, WaitingFrom>>,
    /// How many bytes more of whole answers may wait.
    whole_answers: Semaphore,
    /// The networks that have much, and of them most, as somebody last saw who looked for room.
    have_most: Mutex<HashSet<IpAddr>>,
    /// Bytes that were asked for in vain since somebody last looked.
    wanted: AtomicUsize,
    is_wanted: Notify,
}

impl AnswerBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            free: Semaphore::new(bytes),
            line: Mutex::default(),
            is_short: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            waiting_from: Mutex::default(),
            whole_answers: Semaphore::new(bytes / PART_OF_WHOLE_ANSWERS),
            have_most: Mutex::default(),
            wanted: AtomicUsize::new(0),
            is_wanted: Notify::new(),
        }
    }

    /// Takes room if there is any. Those who wait come first.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Purse> {
        (!self.is_short() && self.has_taken(bytes)).then_some(Purse::Shared)
    }

    fn has_taken(&self, bytes: usize) -> bool {
        self.free.try_acquire_many(bytes as u32).map(|taken| taken.forget()).is_ok()
    }

    /// Waits for its turn, and for room. Others have been [told](Self::want) that it is wanted.
    pub(super) async fn take(&self, bytes: usize, waiting: Waiting) -> Purse {
        let mut ticket = self.ticket(bytes, waiting.network);
        match (&mut ticket.coming).await {
            Ok(()) => Purse::Shared,
            Err(e) => unreachable!("invariant: whoever is in line is given room: {e}"),
        }
    }

    fn ticket(&self, bytes: usize, network: IpAddr) -> Ticket<'_> {
        let (comes, coming) = oneshot::channel();
        let mut line = self.line();
        line.last_ticket += 1;
        let number = line.last_ticket;
        line.waiting.entry(network).insert(number, Wanted { bytes, comes });
        // Either this sees what is given back, or whoever gives it back sees that somebody is in line.
        self.is_short.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.hand_out(&mut line);
        Ticket { budget: self, network, number, bytes, coming }
    }

    /// Gives room to those in line, as far as there is some.
    fn hand_out(&self, line: &mut Line) {
        while let Some((number, wanted)) = line.first.take().or_else(|| line.next()) {
            if !self.has_taken(wanted.bytes) {
                line.first = Some((number, wanted));
                return;
            }
            if wanted.comes.send(()).is_err() {
                self.free.add_permits(wanted.bytes);
            }
        }
        self.is_short.store(false, Ordering::Relaxed);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing is left half-done by a panic: each change is a few moves.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes there is room for.
    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.free.add_permits(bytes);
        fence(Ordering::SeqCst);
        if self.is_short() {
            self.hand_out(&mut self.line());
        }
    }

    /// Somebody from this network begins to wait for room for so many bytes.
    pub(super) fn wait(self: &Arc<Self>, network: IpAddr, bytes: usize) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut waiting_from = self.waiting_from();
        let from = waiting_from.entry(network).or_default();
        from.answers += 1;
        from.bytes += bytes;
        Waiting { budget: Arc::clone(self), network, bytes }
    }

    /// Whether no more should wait, and this network has its share of those that do.
    pub(super) fn is_crowded_by(&self, network: IpAddr) -> bool {
        if self.waiting() < MOST_WAITING {
            return false;
        }
        let waiting_from = self.waiting_from();
        waiting_from.get(&network).is_some_and(|from| from.answers * waiting_from.len() >= MOST_WAITING)
    }

    /// A place for a whole answer that waits for its network's turn. There is none for networks that have most: they have room enough.
    pub(super) fn wait_with_whole_answer(
        &self,
        network: IpAddr,
        bytes: usize,
    ) -> Option<SemaphorePermit<'_>> {
        if self.have_most().contains(&network) || self.is_crowded_by(network) {
            return None;
        }
        self.whole_answers.try_acquire_many(bytes as u32).ok()
    }

    /// Who is known to have most from now on.
    pub(crate) fn set_have_most(&self, networks: HashSet<IpAddr>) {
        *self.have_most() = networks;
    }

    fn have_most(&self) -> MutexGuard<'_, HashSet<IpAddr>> {
        self.have_most.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting_from(&self) -> MutexGuard<'_, HashMap<IpAddr, WaitingFrom>> {
        // What it guards is whole at any moment.
        self.waiting_from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody wants room for bytes, and there is none.
    pub(crate) fn want(&self, bytes: usize) {
        self.wanted.fetch_add(bytes, Ordering::Relaxed);
        self.is_wanted.notify_one();
    }

    /// How much was wanted since this was last asked.
    pub(crate) fn newly_wanted(&self) -> usize {
        self.wanted.swap(0, Ordering::Relaxed)
    }

    /// Returns when somebody wants room.
    pub(crate) async fn wanted(&self) {
        self.is_wanted.notified().await;
    }

    /// Bytes that are waited for, by network.
    pub(crate) fn waiting_by_network(&self) -> HashMap<IpAddr, usize> {
        self.waiting_from().iter().map(|(network, from)| (*network, from.bytes)).collect()
    }

    /// Whether somebody waits for room, and there is not enough.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// How many bytes there is room for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A network that has as many of them has much: it is its share, as long as others want room.
    pub(crate) fn share(&self) -> usize {
        self.bytes / PART_OF_MUCH
    }

    /// How many are taken.
    pub(crate) fn in_use(&self) -> usize {
        self.bytes.saturating_sub(self.free.available_permits())
    }

    /// How many wait for room.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Whoever waits for room. Machines take turns, however many of their answers wait: who has left the room full, or asks for some again and
/// again, keeps nobody else waiting for long.
#[derive(Default)]
struct Line {
    last_ticket: u64,
    /// Whose turn it is, for whom there is not enough room yet.
    first: Option<(u64, Wanted)>,
    waiting: Ring<IpAddr, BTreeMap<u64, Wanted>>,
}

struct Wanted {
    bytes: usize,
    comes: oneshot::Sender<()>,
}

impl Line {
    /// Whoever is next, with its ticket.
    fn next(&mut self) -> Option<(u64, Wanted)> {
        self.waiting.turn(|of_network| (of_network.pop_first(), of_network.is_empty())).flatten()
    }

    fn leave(&mut self, network: IpAddr, ticket: u64) {
        self.first.take_if(|(number, _)| *number == ticket);
        if let Some(of_network) = self.waiting.get(network) {
            of_network.remove(&ticket);
            if of_network.is_empty() {
                self.waiting.remove(network);
            }
        }
    }
}

/// A place in line, until it is dropped.
struct Ticket<'a> {
    budget: &'a AnswerBudget,
    network: IpAddr,
    number: u64,
    bytes: usize,
    coming: oneshot::Receiver<()>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut line = self.budget.line();
        line.leave(self.network, self.number);
        self.budget.hand_out(&mut line);
        drop(line);
        // It was given room, and does not know.
        if self.coming.try_recv().is_ok() {
            self.budget.give_back(self.bytes);
        }
    }
}

/// What waits for room from one network.
#[derive(Default)]
struct WaitingFrom {
    answers: usize,
    bytes: usize,
}

/// Who waits for room, until it is dropped.
pub(super) struct Waiting {
    budget: Arc<AnswerBudget>,
    network: IpAddr,
    bytes: usize,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.budget.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut waiting_from = self.budget.waiting_from();
        if let Entry::Occupied(mut from) = waiting_from.entry(self.network) {
            from.get_mut().answers -= 1;
            from.get_mut().bytes -= self.bytes;
            if from.get().answers == 0 {
                from.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn machines_take_turns_however_many_of_their_answers_wait() {
        let budget = Arc::new(AnswerBudget::new(100));
        let [many, few] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        assert!(budget.try_take(100).is_some());
        let mut waiting: Vec<_> =
            (0..10).map(|_| Box::pin(budget.take(100, budget.wait(many, 100)))).collect();
        for waits in &mut waiting {
            assert!(waits.now_or_never().is_none());
        }
        let mut one = Box::pin(budget.take(100, budget.wait(few, 100)));
        assert!((&mut one).now_or_never().is_none());
        budget.give_back(100);
        assert!(budget.try_take(100).is_none(), "they come first");
        assert!((&mut waiting[0]).now_or_never().is_some() && (&mut one).now_or_never().is_none());
        // The next of the many turns up late for what it was given, or leaves without it.
        budget.give_back(100);
        budget.give_back(100);
        assert!((&mut one).now_or_never().is_some(), "the rest of the many comes after it");
        drop(waiting);
        assert_eq!((budget.free(), budget.is_short()), (100, false));
    }

    #[test]
    fn when_many_wait_no_more_may_from_where_most_of_them_come() {
        let budget = Arc::new(AnswerBudget::new(0));
        let [many, few] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| budget.wait(many, 1)).collect();
        assert!(!budget.is_crowded_by(many), "there is one more place");
        waiting.push(budget.wait(few, 1));
        assert!(budget.is_crowded_by(many) && !budget.is_crowded_by(few));
        waiting.extend((1..MOST_WAITING / 2).map(|_| budget.wait(few, 100)));
        assert!(budget.is_crowded_by(few), "it has its half");
        drop(waiting);
        assert_eq!((budget.waiting(), budget.waiting_from().len()), (0, 0));
    }
}
