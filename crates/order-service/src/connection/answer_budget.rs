//! How many bytes of answers may lie about that their clients have not taken, of all connections together.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore, TryAcquireError};

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
    free: Semaphore,
    /// Answers that wait for room.
    waiting: AtomicUsize,
    is_wanted: Notify,
    are_pages_wanted: Notify,
}

impl AnswerBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            free: Semaphore::new(bytes),
            waiting: AtomicUsize::new(0),
            is_wanted: Notify::new(),
            are_pages_wanted: Notify::new(),
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

    /// First come, first served.
    pub(super) async fn take(&self, bytes: usize) -> Purse {
        let waiting = Waiting::begin(&self.waiting);
        self.want();
        match self.free.acquire_many(bytes as u32).await {
            Ok(taken) => taken.forget(),
            Err(e) => unreachable!("invariant: the budget is never closed: {e}"),
        }
        drop(waiting);
        Purse::Shared
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    /// Somebody wants room, and there is none.
    pub(super) fn want(&self) {
        self.is_wanted.notify_one();
    }

    /// Returns when somebody wants room.
    pub(crate) async fn wanted(&self) {
        self.is_wanted.notified().await;
    }

    /// A page was refused, since as many are being made and sent as may be.
    pub(super) fn want_pages(&self) {
        self.are_pages_wanted.notify_one();
    }

    /// Returns when a page was refused.
    pub(crate) async fn pages_wanted(&self) {
        self.are_pages_wanted.notified().await;
    }

    /// Whether somebody waits for room, and there is none.
    pub(crate) fn is_short(&self) -> bool {
        // Whoever has been given some and has not noticed still counts as waiting; what is left then is for nobody.
        self.waiting() > 0 && self.free.available_permits() == 0
    }

    /// How many wait for room.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
