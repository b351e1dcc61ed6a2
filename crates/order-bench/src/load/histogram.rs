//! Latencies, counted in buckets.

use std::time::Duration;

/// Each power of two is cut into this many buckets, so a quantile is at most 1/128 (0.8 %) too high.
const BUCKETS_PER_OCTAVE: u64 = 128;
const OCTAVE_BITS: u32 = BUCKETS_PER_OCTAVE.trailing_zeros();
/// Longer latencies (18 minutes) are counted in the last bucket; the maximum stays exact.
const LARGEST_NS: u64 = (1 << 40) - 1;
const BUCKETS: usize = bucket_of(LARGEST_NS) + 1;

/// A log-linear histogram of latencies, the shape that HdrHistogram made common: exact below 128 ns, then 128
/// equal buckets for each power of two. Recording is a shift and an increment, whatever the spread.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max_ns: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into_boxed_slice(), count: 0, max_ns: 0 }
    }

    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(ns.min(LARGEST_NS))] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many latencies were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The longest latency, exact.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// The latency that the given share (0 to 1) of all recorded ones does not exceed; zero if there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(highest_ns_of(bucket).min(self.max_ns));
            }
        }
        self.max()
    }

    /// Counts all that another has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, count)| *sum += count);
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
        self.max_ns = 0;
    }
}

const fn bucket_of(ns: u64) -> usize {
    if ns < BUCKETS_PER_OCTAVE {
        return ns as usize;
    }
    let shift = ns.ilog2() - OCTAVE_BITS;
    (shift as u64 * BUCKETS_PER_OCTAVE + (ns >> shift)) as usize
}

/// The highest latency that is counted in this bucket: quantiles err to the high side.
const fn highest_ns_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * BUCKETS_PER_OCTAVE {
        return bucket;
    }
    let shift = bucket / BUCKETS_PER_OCTAVE - 1;
    ((bucket - shift * BUCKETS_PER_OCTAVE + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(ns: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        for ns in ns {
            histogram.record(Duration::from_nanos(ns));
        }
        histogram
    }

    #[test]
    fn every_latency_lies_in_its_bucket_and_no_bucket_is_wider_than_one_in_128() {
        for ns in (0..70_000).chain((17..40).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let highest = highest_ns_of(bucket_of(ns));
            assert!(ns <= highest, "{ns} is above its bucket's end {highest}");
            assert!(highest - ns <= ns / 128, "{ns} is counted as {highest}");
            assert_eq!(bucket_of(highest), bucket_of(ns));
            assert_eq!(bucket_of(highest + 1), bucket_of(ns) + 1);
        }
    }

    #[test]
    fn quantiles_follow_rank() {
        let histogram = recorded(1..=100);
        assert_eq!(histogram.quantile(0.5), Duration::from_nanos(50));
        assert_eq!(histogram.quantile(0.99), Duration::from_nanos(99));
        assert_eq!(histogram.quantile(0.999), Duration::from_nanos(100));
        assert_eq!(histogram.quantile(0.0), Duration::from_nanos(1));
    }

    #[test]
    fn one_outlier_moves_the_maximum_and_not_the_median() {
        let histogram = recorded(std::iter::repeat_n(50_000, 999).chain([7_000_000_000]));
        assert!(histogram.quantile(0.5) < Duration::from_nanos(50_500));
        assert_eq!(histogram.max(), Duration::from_secs(7));
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(7));
    }

    #[test]
    fn two_together_are_as_one() {
        let mut sum = recorded(1..=50);
        sum.add(&recorded(51..=100));
        assert_eq!((sum.count(), sum.max()), (100, Duration::from_nanos(100)));
        assert_eq!(sum.quantile(0.5), recorded(1..=100).quantile(0.5));
    }

    #[test]
    fn longer_than_the_last_bucket_is_still_counted() {
        let histogram = recorded([u64::MAX]);
        assert_eq!(histogram.count(), 1);
        assert_eq!(histogram.max(), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn empty_and_cleared_answer_zero() {
        let mut histogram = recorded([5]);
        histogram.clear();
        assert_eq!(histogram.count(), 0);
        assert_eq!(histogram.quantile(0.99), Duration::ZERO);
    }
}
