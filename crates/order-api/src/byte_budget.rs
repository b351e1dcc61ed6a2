use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A bound on the bytes that many hold together. Whoever would go beyond it waits.
#[derive(Clone)]
pub(crate) struct ByteBudget(Arc<Counts>);

struct Counts {
    limit: usize,
    taken: AtomicUsize,
    /// Something was let go.
    let_go: Notify,
}

impl ByteBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Counts { limit, taken: AtomicUsize::new(0), let_go: Notify::new() }))
    }

    /// Counts bytes that are there already.
    pub(crate) fn count(&self, bytes: usize) -> Reservation {
        self.0.taken.fetch_add(bytes, Ordering::Relaxed);
        Reservation { budget: self.clone(), bytes }
    }

    /// Waits until what is held is within the bound.
    pub(crate) async fn room(&self) {
        let mut has_waited = false;
        while !self.has_room() {
            self.0.let_go.notified().await;
            has_waited = true;
        }
        if has_waited {
            // There may be room for the next as well.
            self.0.let_go.notify_one();
        }
    }

    /// Whether what is held is within the bound.
    pub(crate) fn has_room(&self) -> bool {
        self.0.taken.load(Ordering::Relaxed) <= self.0.limit
    }
}

/// Bytes that count, until it is dropped.
pub(crate) struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.0.let_go.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_counts_and_is_never_refused() {
        let budget = ByteBudget::new(10);
        let large = budget.count(1_000);
        assert!(!budget.has_room());
        drop(large);
        assert!(budget.has_room());
    }

    #[tokio::test]
    async fn all_who_wait_for_room_have_it_when_there_is_some() {
        let budget = ByteBudget::new(10);
        let held = [budget.count(6), budget.count(6)];
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let budget = budget.clone();
                tokio::spawn(async move { budget.room().await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!waiting.iter().any(tokio::task::JoinHandle::is_finished));
        drop(held);
        for waits in waiting {
            waits.await.unwrap();
        }
    }
}
