//! Order ids that can be named again without having been stored: the n-th id is a function of n.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use uuid::Builder;

/// The seed of the orders in prepared stores: every run knows which orders are there.
pub(crate) const PREPARED_SEED: u64 = 0x0bde_7ced_5eed;
/// The seed of the keys that prepared orders were placed with.
pub(crate) const PREPARED_KEYS_SEED: u64 = 0x0bde_7ced_5eee;

/// How order ids are made from their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderIds {
    /// `ord-000001-000000000001`: each id sorts after the one before, so an index on it grows at its end.
    Sequence {
        /// Sets one run's ids apart from another's; below a million.
        run: u32,
    },
    /// Random UUIDv4: each id falls anywhere in an index.
    RandomV4 {
        /// Sets one run's ids apart from another's.
        seed: u64,
    },
}

impl OrderIds {
    /// Sequential ids that no earlier run has used.
    pub(crate) fn new_sequence() -> Self {
        Self::Sequence { run: (fresh_seed() % 1_000_000) as u32 }
    }

    /// Random ids that no earlier run has used.
    pub(crate) fn new_random() -> Self {
        Self::RandomV4 { seed: fresh_seed() }
    }

    /// How long each id is.
    pub(crate) fn id_bytes(self) -> usize {
        match self {
            Self::Sequence { .. } => "ord-".len() + 6 + 1 + 12,
            Self::RandomV4 { .. } => uuid::fmt::Hyphenated::LENGTH,
        }
    }

    /// Writes the id of this index over `id`, which has [`id_bytes`](Self::id_bytes).
    pub(crate) fn write(self, index: u64, id: &mut [u8]) {
        match self {
            Self::Sequence { run } => {
                let mut rest = id;
                // Cannot fail: the digits are as many as `id_bytes` says for every run and index that is in range.
                let _ = write!(rest, "ord-{run:06}-{index:012}");
            }
            Self::RandomV4 { seed } => {
                let high = u128::from(mixed(seed ^ mixed(2 * index)));
                let low = u128::from(mixed(seed ^ mixed(2 * index + 1)));
                let random = (high << 64 | low).to_be_bytes();
                Builder::from_random_bytes(random).into_uuid().hyphenated().encode_lower(id);
            }
        }
    }

    /// The id of this index.
    pub(crate) fn id(self, index: u64) -> String {
        let mut id = vec![0; self.id_bytes()];
        self.write(index, &mut id);
        String::from_utf8_lossy(&id).into_owned()
    }
}

/// A small, fast source of random numbers (SplitMix64, Steele, Lea and Flood 2014).
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new() -> Self {
        Self { state: fresh_seed() }
    }

    /// A number below `bound`; the bias of the remainder is below one in a billion for the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(1);
        mixed(self.state) % bound
    }
}

/// The output function of SplitMix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The standard library seeds its hash maps from the operating system: the one source of randomness without a crate.
fn fresh_seed() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn random_ids_are_version_4_and_differ_by_index_and_seed() {
        let mut seen = HashSet::new();
        for seed in [PREPARED_SEED, 1, 2] {
            for index in 0..10_000 {
                let id = OrderIds::RandomV4 { seed }.id(index);
                assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 4);
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn the_same_index_names_the_same_order() {
        let ids = OrderIds::RandomV4 { seed: PREPARED_SEED };
        assert_eq!(ids.id(7), ids.id(7));
    }

    #[test]
    fn sequential_ids_sort_by_index_and_keep_their_length() {
        let ids = OrderIds::Sequence { run: 42 };
        assert_eq!(ids.id(1), "ord-000042-000000000001");
        assert!(ids.id(9) < ids.id(10));
        assert_eq!(ids.id(999_999_999_999).len(), ids.id_bytes());
    }
}
