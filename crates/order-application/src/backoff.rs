//! Waiting longer after each failure, and never in step with others.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The waits between attempts: each is up to twice as long as the one before, within a bound.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with `first`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// How long to wait before the next attempt. At least half of what it may be, and the rest at random: those who failed
    /// together must not come back together.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        random_between(wait / 2, wait)
    }

    /// Waits before the next attempt, up to the deadline; `false` when that has come.
    pub async fn wait_before(&mut self, deadline: Instant) -> bool {
        let until = (Instant::now() + self.next_wait()).min(deadline);
        sleep_until(until).await;
        until < deadline
    }

    /// After a success the next failure is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A time between these two, at random.
pub(crate) fn random_between(shortest: Duration, longest: Duration) -> Duration {
    // The standard library seeds its hashers at random, each in another way.
    let share = RandomState::new().hash_one(()) as u32;
    shortest + (longest - shortest) * share / u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_millis(500);

    #[test]
    fn waits_double_up_to_their_bound_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for full in [100, 200, 400, 500, 500].map(Duration::from_millis) {
            let wait = backoff.next_wait();
            assert!((full / 2..=full).contains(&wait), "{wait:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    #[test]
    fn those_who_failed_together_wait_for_different_times() {
        let waits: Vec<_> = (0..100).map(|_| Backoff::new(FIRST, LONGEST).next_wait()).collect();
        let early = waits.iter().filter(|wait| **wait < FIRST * 3 / 4).count();
        assert!((20..80).contains(&early), "{early} of 100 come in the first half");
    }
}
