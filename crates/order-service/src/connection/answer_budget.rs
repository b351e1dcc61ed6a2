//! How many bytes of answers may lie about that their clients have not taken, of all connections together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, TryAcquireError};

/// How many answers may wait for room. Each of them has its request's head, which nobody counts until it has room.
const MOST_WAITING: usize = 2048;

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
    /// Answers that wait for room.
    waiting: AtomicUsize,
    /// How many of them are from where.
    waiting_from: Mutex<HashMap<IpAddr, usize>>,
    /// Bytes that were asked for in vain since somebody last looked.
    wanted: AtomicUsize,
    is_wanted: Notify,
}

impl AnswerBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            free: Semaphore::new(bytes),
            waiting: AtomicUsize::new(0),
            waiting_from: Mutex::default(),
            wanted: AtomicUsize::new(0),
            is_wanted: Notify::new(),
        }
    }

    pub(super) fn try_take(&self, bytes: usize) -> Option<Purse> {
        match self.free.try_acquire_many(bytes as u32) {
            Ok(taken) => {
                taken.forget();
                Some(Purse::Shared)
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// First come, first served. Others have been [told](Self::want) that it is wanted.
    pub(super) async fn take(&self, bytes: usize, _waiting: Waiting) -> Purse {
        match self.free.acquire_many(bytes as u32).await {
            Ok(taken) => taken.forget(),
            Err(e) => unreachable!("invariant: the budget is never closed: {e}"),
        }
        Purse::Shared
    }

    /// How many bytes there is room for.
    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    /// Somebody from this network begins to wait for room.
    pub(super) fn wait(self: &Arc<Self>, network: IpAddr) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        *self.waiting_from().entry(network).or_default() += 1;
        Waiting { budget: Arc::clone(self), network }
    }

    /// Whether no more should wait, and this network has its share of those that do.
    pub(super) fn is_crowded_by(&self, network: IpAddr) -> bool {
        if self.waiting() < MOST_WAITING {
            return false;
        }
        let waiting_from = self.waiting_from();
        waiting_from.get(&network).is_some_and(|waiting| waiting * waiting_from.len() >= MOST_WAITING)
    }

    fn waiting_from(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // What it guards is whole at any moment.
        self.waiting_from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody wants room for bytes, and there is none.
    pub(super) fn want(&self, bytes: usize) {
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

    /// How many wait for room, by network.
    pub(crate) fn waiting_by_network(&self) -> HashMap<IpAddr, usize> {
        self.waiting_from().clone()
    }

    /// Whether somebody waits for room, and there is none.
    pub(crate) fn is_short(&self) -> bool {
        // Whoever has been given some and has not noticed still counts as waiting; what is left then is for nobody.
        self.waiting() > 0 && self.free.available_permits() == 0
    }

    /// How many bytes there is room for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
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

/// Who waits for room, until it is dropped.
pub(super) struct Waiting {
    budget: Arc<AnswerBudget>,
    network: IpAddr,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.budget.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut waiting_from = self.budget.waiting_from();
        if let Entry::Occupied(mut waiting) = waiting_from.entry(self.network) {
            *waiting.get_mut() -= 1;
            if *waiting.get() == 0 {
                waiting.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_many_wait_no_more_may_from_where_most_of_them_come() {
        let budget = Arc::new(AnswerBudget::new(0));
        let [many, few] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| budget.wait(many)).collect();
        assert!(!budget.is_crowded_by(many), "there is one more place");
        waiting.push(budget.wait(few));
        assert!(budget.is_crowded_by(many) && !budget.is_crowded_by(few));
        waiting.extend((1..MOST_WAITING / 2).map(|_| budget.wait(few)));
        assert!(budget.is_crowded_by(few), "it has its half");
        drop(waiting);
        assert_eq!((budget.waiting(), budget.waiting_from().len()), (0, 0));
    }
}
