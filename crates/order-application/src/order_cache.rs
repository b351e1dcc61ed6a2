//! Orders that were worked on lately, so that their next command need not replay them.

use std::sync::Arc;

use order_domain::OrderId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::projection::VersionedOrder;

/// A cache of whole orders, bounded in bytes. What is in it may be old: other instances write too.
pub(crate) struct OrderCache {
    orders: Cache<OrderId, Arc<VersionedOrder>, WeighBytes>,
}

impl OrderCache {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let expected_orders = (max_bytes / TYPICAL_ORDER_BYTES) as usize;
        Self { orders: Cache::with_weighter(expected_orders.max(1), max_bytes, WeighBytes) }
    }

    pub(crate) fn get(&self, order_id: &OrderId) -> Option<Arc<VersionedOrder>> {
        self.orders.get(order_id)
    }

    pub(crate) fn put(&self, order_id: OrderId, order: Arc<VersionedOrder>) {
        self.orders.insert(order_id, order);
    }

    /// Takes an order out, for whoever is about to change it.
    pub(crate) fn take(&self, order_id: &OrderId) -> Option<Arc<VersionedOrder>> {
        self.orders.remove(order_id).map(|(_, order)| order)
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
