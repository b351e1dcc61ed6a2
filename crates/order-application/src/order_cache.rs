//! Orders that were worked on lately, so that their next command need not replay them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use order_domain::OrderId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::figures::Counter;
use crate::ports::event_log::LogHistory;
use crate::projection::VersionedOrder;

/// A cache of whole orders, bounded in bytes. What is in it may be old: other instances write too.
pub(crate) struct OrderCache {
    orders: Cache<OrderId, Arc<VersionedOrder>, WeighBytes>,
    /// The number of the history that they are of.
    history: AtomicU64,
    hits: Counter,
    misses: Counter,
}

/// How a cache of orders is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheFigures {
    /// How often an order was in it.
    pub hits: u64,
    /// How often one was not.
    pub misses: u64,
    /// What its orders take now, about.
    pub bytes: u64,
    /// Most that they may take.
    pub max_bytes: u64,
}

impl OrderCache {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let expected_orders = (max_bytes / TYPICAL_ORDER_BYTES) as usize;
        let orders = Cache::with_weighter(expected_orders.max(1), max_bytes, WeighBytes);
        Self { orders, history: AtomicU64::new(0), hits: Counter::default(), misses: Counter::default() }
    }

    /// Forgets everything if it is of an earlier history than this one. What somebody puts in later who began before, they have
    /// to take out again.
    pub(crate) fn is_of(&self, history: LogHistory) {
        if self.history.load(Ordering::Acquire) < history.0 {
            self.orders.clear();
            self.history.fetch_max(history.0, Ordering::AcqRel);
        }
    }

    pub(crate) fn get(&self, order_id: &OrderId) -> Option<Arc<VersionedOrder>> {
        let found = self.orders.get(order_id);
        if found.is_some() {
            self.hits.add_one();
        }
        found
    }

    pub(crate) fn put(&self, order_id: OrderId, order: Arc<VersionedOrder>) {
        self.orders.insert(order_id, order);
    }

    /// Takes an order out, for whoever is about to change it.
    pub(crate) fn take(&self, order_id: &OrderId) -> Option<Arc<VersionedOrder>> {
        self.orders.remove(order_id).map(|(_, order)| order)
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        let (hits, misses) = (self.hits.now(), self.misses.now());
        CacheFigures { hits, misses, bytes: self.orders.weight(), max_bytes: self.orders.capacity() }
    }

    /// An order had to be read that could have been here. A placement's could not.
    pub(crate) fn missed(&self) {
        self.misses.add_one();
    }

    pub(crate) fn forget(&self, order_id: &OrderId) {
        self.orders.remove(order_id);
    }
}

/// An order of one line, with the cache's own bookkeeping.
const TYPICAL_ORDER_BYTES: u64 = 1024;

#[derive(Clone)]
struct WeighBytes;

impl Weighter<OrderId, Arc<VersionedOrder>> for WeighBytes {
    fn weight(&self, _: &OrderId, versioned: &Arc<VersionedOrder>) -> u64 {
        versioned.heap_bytes() as u64
    }
}
