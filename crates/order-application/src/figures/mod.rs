//! Numbers that are counted while the service works, and read when somebody asks for its metrics.
//!
//! To count is one atomic addition: no lock, no allocation, and nobody waits for whoever reads. Each layer counts in its own
//! terms; how that is shown is for the layer that speaks HTTP.

mod commands;
mod store;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::order_cache::CacheFigures;
pub use commands::{CommandEnd, CommandFigures};
pub use store::{DiskFigures, MeasuredStore, PoolFigures, QueueFigures, Shed, StoreFigures, WritingFigures};

/// How often something happened. It only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// It happened once more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// It happened so many times more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How often it has happened so far.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How much there is of something. It goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// So much there is now.
    pub fn set(&self, amount: u64) {
        self.0.store(amount, Ordering::Relaxed);
    }

    /// One more, until what is answered is dropped.
    pub fn enter(&self) -> Entered<'_> {
        self.increase();
        Entered(self)
    }

    /// There is one more.
    pub fn increase(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// There is one less.
    pub fn decrease(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How much there is now.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of those that a [`Gauge`] counts.
#[derive(Debug)]
pub struct Entered<'g>(&'g Gauge);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.decrease();
    }
}

/// How large things were: how many were within each of some bounds.
#[derive(Debug)]
pub struct Histogram {
    /// Ascending. Each is the largest value of its bucket.
    bounds: &'static [u64],
    /// One for each bound, and one for what is beyond the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Nothing yet. The bounds ascend, in the unit of what is observed.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// There was one of this size.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Something took so long. The bounds are in microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// All that was observed so far. What is observed meanwhile may be in the sum already and not in the counts.
    pub fn now(&self) -> Distribution {
        let counts: Vec<_> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// What a [`Histogram`] has observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// The largest value of each bucket but the last, which has no bound.
    pub bounds: &'static [u64],
    /// How many were in each bucket, and in no one before: one more than there are bounds.
    pub counts: Vec<u64>,
    /// All values together.
    pub sum: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_bucket_that_reaches_it() {
        let histogram = Histogram::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 100, 101, 5_000] {
            histogram.observe(value);
        }
        let Distribution { bounds, counts, sum } = histogram.now();
        assert_eq!((bounds, &counts[..], sum), (&[1, 10, 100][..], &[2, 2, 1, 2][..], 5_214));
    }

    #[test]
    fn times_are_observed_in_microseconds() {
        let histogram = Histogram::new(&[500, 1_000]);
        histogram.observe_time(Duration::from_micros(500));
        histogram.observe_time(Duration::from_nanos(1_000_999));
        histogram.observe_time(Duration::MAX);
        assert_eq!(histogram.now().counts, [1, 1, 1]);
    }

    #[test]
    fn what_was_entered_is_left_when_it_is_dropped() {
        let gauge = Gauge::default();
        let (first, _second) = (gauge.enter(), gauge.enter());
        assert_eq!(gauge.now(), 2);
        drop(first);
        assert_eq!(gauge.now(), 1);
    }
}
