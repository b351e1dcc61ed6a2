//! The order view, as a pure fold of an order's events.
//!
//! Two shapes come of one fold: [`VersionedOrder`], the whole order at a version, which the service caches and full
//! views are rendered from; and [`OrderSummary`], the row that stores keep for every order.

use order_domain::{Cents, CustomerId, Order, OrderEvent, OrderId, Status, Timestamp, evolve};

use crate::event::Version;

/// An order and how far its stream has come.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedOrder {
    /// The fold of its events.
    pub order: Order,
    /// How many events that were.
    pub version: Version,
    /// The time of the first.
    pub placed_at: Timestamp,
    /// The time of the last.
    pub updated_at: Timestamp,
}

/// Applies the next event of a stream. `None` in, and an event that is not `OrderPlaced`, gives `None`: such a stream
/// has no beginning.
pub fn apply(order: Option<VersionedOrder>, event: &OrderEvent, time: Timestamp) -> Option<VersionedOrder> {
    let (version, placed_at, order) = match order {
        Some(VersionedOrder { order, version, placed_at, .. }) => (version, placed_at, Some(order)),
        None => (Version::NONE, time, None),
    };
    let order = evolve(order, event)?;
    Some(VersionedOrder { order, version: version.plus(1), placed_at, updated_at: time })
}

/// What a list shows of an order, and what finds it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSummary {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// One word for its ledgers.
    pub status: Status,
    /// Lines and adjustments together.
    pub total: Cents,
    /// How many events it has.
    pub version: Version,
    /// The time of its first event.
    pub placed_at: Timestamp,
    /// The time of its latest event.
    pub updated_at: Timestamp,
}

impl VersionedOrder {
    /// The row that a list shows of this order.
    pub fn summary(&self, order_id: &OrderId) -> OrderSummary {
        OrderSummary {
            order_id: order_id.clone(),
            customer_id: self.order.customer_id().clone(),
            status: self.order.status(),
            total: self.order.total(),
            version: self.version,
            placed_at: self.placed_at,
            updated_at: self.updated_at,
        }
    }
}
