//! Tells orders that are surely new, so that placing one need not look for it in the views.
//!
//! A Bloom filter (Bloom 1970) over the order ids: it may take a new order for a known one, never the other way round. Its
//! size is fixed. Up to about ten million orders it spares nearly every look-up; far beyond, it spares fewer, and nothing
//! else changes.

use std::sync::atomic::{AtomicBool, Ordering};

use fastbloom::AtomicBloomFilter;
use order_domain::OrderId;

use crate::sqlite::views::hash_order_id;

/// 8 MiB.
pub(crate) const FILTER_BITS: usize = 64 * 1024 * 1024;
/// Bits of an order. Best at nine million orders; at three million, one new order in 3,100 is taken for known.
pub(crate) const BITS_PER_ORDER: u32 = 5;

/// The filter, and whether it can be asked yet.
pub(crate) struct KnownOrders {
    hash_seed: u64,
    filter: AtomicBloomFilter,
    /// Whether every order is in the filter. Until then it knows nothing.
    complete: AtomicBool,
}

impl KnownOrders {
    pub(crate) fn new(hash_seed: u64) -> Self {
        let filter = AtomicBloomFilter::with_num_bits(FILTER_BITS).hashes(BITS_PER_ORDER);
        Self { hash_seed, filter, complete: AtomicBool::new(false) }
    }

    /// Whether no such order was ever placed. `false` says nothing.
    pub(crate) fn is_surely_new(&self, order_id: &OrderId) -> bool {
        self.is_complete() && !self.filter.contains_hash(self.hash(order_id))
    }

    /// Adds an order. Must come before it is acknowledged.
    pub(crate) fn add(&self, order_id: &OrderId) {
        self.filter.insert_hash(self.hash(order_id));
    }

    fn hash(&self, order_id: &OrderId) -> u64 {
        hash_order_id(order_id, self.hash_seed).cast_unsigned()
    }

    /// Adds orders by the hashes of their ids.
    pub(crate) fn add_hashes(&self, hashes: impl Iterator<Item = i64>) {
        hashes.for_each(|hash| {
            self.filter.insert_hash(hash.cast_unsigned());
        });
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Says that every order is in the filter.
    pub(crate) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }
}
