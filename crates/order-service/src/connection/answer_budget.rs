//! How many bytes of answers may lie about that their clients have not taken, of all connections together.

use std::sync::Arc;
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
    bytes: usize,
    free: Semaphore,
    /// Answers that wait for room.
    waiting: AtomicUsize,
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

    /// Somebody begins to wait for room.
    pub(super) fn wait(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(Arc::clone(self))
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
pub(super) struct Waiting(Arc<AnswerBudget>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
