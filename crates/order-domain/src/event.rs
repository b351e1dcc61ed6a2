//! What happened to an order. Events are facts: they hold everything that later decisions need, with defaults filled
//! in, and never refer to what may change (prices, stock, the clock).

use crate::fulfilment::ship::OrderShipped;
use crate::inventory::reserve::InventoryReserved;
use crate::order::Order;
use crate::payment::authorize::PaymentAuthorized;
use crate::placement::place::OrderPlaced;

/// One fact in an order's stream.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    /// The order began.
    OrderPlaced(OrderPlaced),
    /// A payment was authorised.
    PaymentAuthorized(PaymentAuthorized),
    /// Stock is held for units of the order.
    InventoryReserved(InventoryReserved),
    /// A parcel left.
    OrderShipped(OrderShipped),
}

/// Applies one event. It never refuses; events other than `OrderPlaced` leave an order that never began as it is.
pub fn evolve(order: Option<Order>, event: &OrderEvent) -> Option<Order> {
    if let OrderEvent::OrderPlaced(placed) = event {
        return Some(placed.begin());
    }
    let mut order = order?;
    match event {
        OrderEvent::OrderPlaced(_) => {}
        OrderEvent::PaymentAuthorized(event) => event.apply(&mut order),
        OrderEvent::InventoryReserved(event) => event.apply(&mut order),
        OrderEvent::OrderShipped(event) => event.apply(&mut order),
    }
    Some(order)
}
