//! How many bytes all requests of one kind may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A bound on the bytes that many hold together. Whoever would go beyond it is refused, or waits.
#[derive(Clone)]
pub(crate) struct ByteBudget(Arc<Books>);

struct Books {
    limit: usize,
    taken: AtomicUsize,
    /// Something was let go.
    let_go: Notify,
}

impl ByteBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Books { limit, taken: AtomicUsize::new(0), let_go: Notify::new() }))
    }

    /// A reservation that is still of nothing.
    pub(crate) fn nothing(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    /// Sets bytes aside; `None` if that would be too much.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut reservation = self.nothing();
        reservation.grow_to(bytes, 0).then_some(reservation)
    }

    /// Counts bytes that are there already.
    pub(crate) fn count(&self, bytes: usize) -> Reservation {
        self.0.taken.fetch_add(bytes, Ordering::Relaxed);
        Reservation { budget: self.clone(), bytes }
    }

    /// Waits until what is held is within the bound.
    pub(crate) async fn room(&self) {
        let mut has_waited = false;
        while !self.has_room(0, 0) {
            self.0.let_go.notified().await;
            has_waited = true;
        }
        if has_waited {
            // There may be room for the next as well.
            self.0.let_go.notify_one();
        }
    }

    /// Whether so many more would be within the bound, and still leave `spared` to others.
    pub(crate) fn has_room(&self, bytes: usize, spared: usize) -> bool {
        self.0.with(self.0.taken.load(Ordering::Relaxed), bytes, spared).is_some()
    }
}

impl Books {
    fn with(&self, taken: usize, bytes: usize, spared: usize) -> Option<usize> {
        taken.checked_add(bytes).filter(|all| *all <= self.limit.saturating_sub(spared))
    }
}

/// Bytes that were set aside, until it is dropped.
pub(crate) struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Reservation {
    /// Makes it of so many bytes in all, if it is not already; `false`, and nothing is changed, if that would be too much,
    /// or would leave less than `spared` to others.
    pub(crate) fn grow_to(&mut self, bytes: usize, spared: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else { return true };
        let books = &self.budget.0;
        let with_more = |taken| books.with(taken, more, spared);
        let grown = books.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_more).is_ok();
        if grown {
            self.bytes = bytes;
        }
        grown
    }
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
    fn what_is_let_go_can_be_reserved_again() {
        let budget = ByteBudget::new(100);
        let mut first = budget.reserve(60).unwrap();
        assert!(budget.reserve(41).is_none());
        assert!(first.grow_to(90, 10) && !first.grow_to(91, 10) && first.grow_to(91, 9));
        assert!(first.grow_to(5, 0), "it never shrinks");
        assert!(budget.reserve(10).is_none());
        drop(first);
        assert!(budget.reserve(100).is_some());
    }

    #[test]
    fn what_is_there_already_counts_and_is_never_refused() {
        let budget = ByteBudget::new(10);
        let large = budget.count(1_000);
        assert!(!budget.has_room(1, 0));
        drop(large);
        assert!(budget.has_room(10, 0) && !budget.has_room(10, 1));
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
