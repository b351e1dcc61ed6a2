//! Tells orders that are surely new, so that placing one need not look for it in the views.
//!
//! A Bloom filter (Bloom 1970) over the order ids: it may take a new order for a known one, never the other way round. Its
//! size is fixed. Up to about ten million orders it spares nearly every look-up; far beyond, it spares fewer, and nothing
//! else changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastbloom::AtomicBloomFilter;
use order_domain::OrderId;

use crate::sqlite::state::StoreState;
use crate::sqlite::store_thread::StoreThread;
use crate::sqlite::views::hash_order_id;
use crate::sqlite_error::OpenError;

/// 8 MiB.
pub(crate) const FILTER_BITS: usize = 64 * 1024 * 1024;
/// Bits of an order. Best at nine million orders; at three million, one in two thousand new ones is taken for known.
pub(crate) const BITS_PER_ORDER: u32 = 5;
/// Entries of the index that are read at a time.
const PAGE_ENTRIES: usize = 20_000;

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
        self.complete.load(Ordering::Acquire) && !self.filter.contains_hash(self.hash(order_id))
    }

    /// Adds an order. Must come before it is acknowledged.
    pub(crate) fn add(&self, order_id: &OrderId) {
        self.filter.insert_hash(self.hash(order_id));
    }

    fn hash(&self, order_id: &OrderId) -> u64 {
        hash_order_id(order_id, self.hash_seed).cast_unsigned()
    }
}

/// Starts the thread that fills the filter from the views while the store already serves.
pub(crate) fn start_filling(shared: Arc<StoreState>) -> Result<StoreThread, OpenError> {
    let log_path = shared.log_path.clone();
    StoreThread::start("known-orders", &log_path, move || fill(&shared))
}

fn fill(shared: &StoreState) {
    let rebuilds = &shared.readers.rebuilds;
    let known = &shared.known_orders;
    // First what the views do not have yet; what is placed from now on, the writer adds.
    shared.readers.overlay.for_each_order(&mut |order_id| known.add(order_id));
    let mut from = None;
    while !rebuilds.is_finished() {
        let number = shared.readers.served_file().number;
        // An entry that is lost would make its order seem new.
        match shared.readers.proven_entries(from, PAGE_ENTRIES) {
            Ok(proven) => {
                for (hash, _) in &proven.entries {
                    known.filter.insert_hash(hash.cast_unsigned());
                }
                from = proven.next;
                if from.is_none() {
                    known.complete.store(true, Ordering::Release);
                    return;
                }
            }
            Err(error) => {
                // Placing orders goes on, with a look-up for each.
                tracing::warn!(%error, "cannot read the index of orders to speed up placing");
                // Views that are made anew have the same hashes, and have them all.
                let is_new_file = number != shared.readers.served_file().number;
                if !(is_new_file || rebuilds.are_wanted()) || !rebuilds.wait_until_mended() {
                    return;
                }
                from = None;
            }
        }
    }
}
