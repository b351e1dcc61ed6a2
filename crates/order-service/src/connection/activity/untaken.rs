//! How long a client has left lying what it was given.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the client has been given of answers that come one after the other, and has not taken. It takes them in that order, so
/// whatever it takes is of the oldest. One task gives, and any may note what is taken.
#[derive(Default)]
pub(super) struct Untaken {
    bytes: AtomicUsize,
    /// When something of it was last taken, or the first of it given; moments are as those of [`Activity`](super::Activity).
    since: AtomicU64,
}

impl Untaken {
    /// Notes what the client is given. (To look at the clock costs as much as all of this, and it is seldom needed.)
    pub(super) fn give(&self, bytes: usize, now: impl FnOnce() -> u64) {
        if self.bytes.load(Ordering::Acquire) == 0 {
            self.since.store(now(), Ordering::Relaxed);
        }
        self.bytes.fetch_add(bytes, Ordering::Release);
    }

    /// Notes what the client has taken. Whether that was all.
    pub(super) fn take(&self, bytes: usize, now: u64) -> bool {
        self.since.store(now, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Release) == bytes
    }

    /// Notes that the client has taken all.
    pub(super) fn take_all(&self) {
        self.bytes.store(0, Ordering::Release);
    }

    /// Notes that the client has taken something, which nobody knows how to count.
    pub(super) fn take_some(&self, now: u64) {
        self.since.store(now, Ordering::Relaxed);
    }

    /// When something of it was last taken or given.
    pub(super) fn last_move(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// Since when nothing has been taken of it, if there is anything.
    pub(super) fn since(&self) -> Option<u64> {
        let is_any = self.bytes.load(Ordering::Acquire) > 0;
        is_any.then(|| self.since.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_one_piece_after_the_other_leaves_nothing_lying_for_long() {
        let untaken = Untaken::default();
        untaken.give(100, || 0);
        for now in 1..50 {
            // The next one is always there before the last is taken.
            untaken.give(100, || now);
            assert!(!untaken.take(100, now));
            assert_eq!(untaken.since(), Some(now));
        }
        assert_eq!(untaken.since(), Some(49), "the last is left lying");
        untaken.take_some(60);
        assert_eq!(untaken.since(), Some(60));
        assert!(untaken.take(100, 61));
        assert_eq!(untaken.since(), None);
    }

    #[test]
    fn what_is_given_after_all_was_taken_lies_from_then_on() {
        let untaken = Untaken::default();
        untaken.give(1, || 1);
        untaken.take_all();
        assert_eq!(untaken.since(), None);
        untaken.give(5, || 3);
        assert_eq!(untaken.since(), Some(3));
    }
}
