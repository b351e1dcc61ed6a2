//! Tells keys under which there surely is no receipt, so that a new key need not be looked for in the views.
//!
//! A Bloom filter (Bloom 1970) for each [segment](crate::sqlite::views::receipt_index) of receipts: one goes with its segment,
//! since nothing can be taken out of it alone. A filter may take a new key for a known one, never the other way round.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fastbloom::AtomicBloomFilter;
use order_application::ReceiptKey;

use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::views::progress::ReceiptProgress;
use crate::sqlite::views::receipt_index::{Segment, hash_key, segment_of};

/// 2 MiB.
const FILTER_BITS: usize = 16 * 1024 * 1024;
/// Bits of a key. Of a segment that is full, one new key in about 1,000 is taken for known.
const BITS_PER_KEY: u32 = 6;
/// Most filters: 32 MiB, for 16 million receipts. Keys are looked up in segments that are older.
pub(crate) const MAX_FILTERS: usize = 16;

/// The filters, and how far back they can be asked.
pub(crate) struct KnownKeys {
    hash_seed: u64,
    filters: RwLock<Filters>,
}

struct Filters {
    of_segments: BTreeMap<Segment, AtomicBloomFilter>,
    /// From this segment on, each has every key in its filter. Those before are looked up.
    complete_from: Segment,
    /// There is no receipt in any segment before.
    first_segment: Segment,
}

impl KnownKeys {
    /// Beside an index that has come so far and has all receipts. The filters of its segments are still to be filled.
    pub(crate) fn new(hash_seed: u64, receipts: &ReceiptProgress) -> Self {
        let complete_from = if receipts.last == 0 { 0 } else { segment_of(receipts.last) + 1 };
        let (of_segments, first_segment) = (BTreeMap::new(), receipts.first_segment);
        Self { hash_seed, filters: RwLock::new(Filters { of_segments, complete_from, first_segment }) }
    }

    /// The hash that a key has in the index.
    pub(crate) fn hash(&self, key: &ReceiptKey) -> i64 {
        hash_key(key.as_bytes(), self.hash_seed)
    }

    /// Whether there surely is no receipt under a key. `false` says nothing.
    pub(crate) fn is_surely_new(&self, key: &ReceiptKey) -> bool {
        let filters = self.read();
        let hash = self.hash(key).cast_unsigned();
        filters.is_complete() && !filters.of_segments.values().any(|filter| filter.contains_hash(hash))
    }

    /// Whether a segment may have a key with a hash.
    pub(crate) fn may_have(&self, segment: Segment, hash: i64) -> bool {
        let filters = self.read();
        let filter = filters.of_segments.get(&segment).filter(|_| segment >= filters.complete_from);
        filter.is_none_or(|filter| filter.contains_hash(hash.cast_unsigned()))
    }

    /// Adds new receipts. Must come before they are acknowledged.
    pub(crate) fn add(&self, receipts: &[(ReceiptKey, Sequence)]) {
        for receipts in receipts.chunk_by(|(_, a), (_, b)| segment_of(*a) == segment_of(*b)) {
            self.add_hashes(segment_of(receipts[0].1), receipts.iter().map(|(key, _)| self.hash(key)));
        }
    }

    /// Adds keys by their hashes.
    pub(crate) fn add_hashes(&self, segment: Segment, hashes: impl Iterator<Item = i64>) {
        if !self.read().of_segments.contains_key(&segment) {
            self.write().begin(segment);
        }
        let filters = self.read();
        let Some(filter) = filters.of_segments.get(&segment) else { return };
        hashes.for_each(|hash| {
            filter.insert_hash(hash.cast_unsigned());
        });
    }

    /// Says that every key of a segment, and of those after it, is in its filter.
    pub(crate) fn complete(&self, segment: Segment) {
        let mut filters = self.write();
        if filters.of_segments.contains_key(&segment) {
            filters.complete_from = filters.complete_from.min(segment);
        }
    }

    /// Whether the filters have every key that there is.
    pub(crate) fn is_complete(&self) -> bool {
        self.read().is_complete()
    }

    /// Says that there is no receipt before a segment any more.
    pub(crate) fn forget_before(&self, segment: Segment) {
        if self.read().first_segment < segment {
            let mut filters = self.write();
            filters.first_segment = segment;
            filters.of_segments = filters.of_segments.split_off(&segment);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Filters> {
        self.filters.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Filters> {
        self.filters.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filters {
    fn is_complete(&self) -> bool {
        self.complete_from <= self.first_segment
    }

    /// Makes an empty filter for a segment. If there are too many, the oldest goes.
    fn begin(&mut self, segment: Segment) {
        let filter = || AtomicBloomFilter::with_num_bits(FILTER_BITS).hashes(BITS_PER_KEY);
        self.of_segments.entry(segment).or_insert_with(filter);
        if self.of_segments.len() > MAX_FILTERS
            && let Some((oldest, _)) = self.of_segments.pop_first()
        {
            self.complete_from = self.complete_from.max(oldest + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of a receipt in a segment.
    fn number(segment: Segment) -> Sequence {
        (segment << 20) + 1
    }

    fn key(n: u64) -> ReceiptKey {
        ReceiptKey::new(None, &n.to_string())
    }

    /// Beside an index of three segments with a receipt each.
    fn of_three_segments() -> KnownKeys {
        let receipts = ReceiptProgress { last: number(2), first_segment: 0, segments: 3, last_hash: 0 };
        KnownKeys::new(7, &receipts)
    }

    fn fill(known: &KnownKeys, segment: Segment) {
        known.add_hashes(segment, [known.hash(&key(segment))].into_iter());
        known.complete(segment);
    }

    #[test]
    fn without_receipts_every_key_is_new_until_it_is_added() {
        let known = KnownKeys::new(7, &ReceiptProgress::default());
        assert!(known.is_surely_new(&key(1)));
        known.add(&[(key(1), 1)]);
        assert!(!known.is_surely_new(&key(1)));
        assert!(known.is_surely_new(&key(2)));
    }

    #[test]
    fn no_key_is_new_before_every_segment_is_filled() {
        let known = of_three_segments();
        for segment in [2, 1, 0] {
            assert!(!known.is_surely_new(&key(9)), "{segment}");
            fill(&known, segment);
        }
        assert!(known.is_surely_new(&key(9)));
        assert!((0..3).all(|segment| !known.is_surely_new(&key(segment))));
    }

    #[test]
    fn a_segment_is_passed_over_only_once_it_is_filled() {
        let known = of_three_segments();
        let hash = known.hash(&key(9));
        known.add(&[(key(5), number(2))]);
        assert!(known.may_have(2, hash), "what it had before is not known yet");
        fill(&known, 2);
        assert!(!known.may_have(2, hash));
        assert!(known.may_have(2, known.hash(&key(2))));
        assert!(known.may_have(2, known.hash(&key(5))));
        assert!(known.may_have(1, hash));
    }

    #[test]
    fn of_too_many_segments_the_oldest_are_looked_up_until_they_go() {
        let known = KnownKeys::new(7, &ReceiptProgress::default());
        let last = MAX_FILTERS as u64;
        for segment in 0..=last {
            assert!(known.is_surely_new(&key(segment)), "{segment}");
            known.add(&[(key(segment), number(segment))]);
        }
        let hash = known.hash(&key(99));
        assert!(!known.is_surely_new(&key(99)));
        assert!(known.may_have(0, hash));
        assert!((1..=last).all(|segment| !known.may_have(segment, hash)));
        known.forget_before(1);
        assert!(known.is_surely_new(&key(99)));
        assert!(known.is_surely_new(&key(0)), "its receipt was deleted");
        assert!(!known.is_surely_new(&key(1)));
    }
}
