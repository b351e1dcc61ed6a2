//! What happened to an order. Events are facts: they hold everything that later decisions need, with defaults filled
//! in, and never refer to what may change (prices, stock, the clock).

use crate::cancellation::{LinesCancelled, OrderCancelled};
use crate::completion::OrderCompleted;
use crate::fulfilment::{OrderShipped, ShipmentDelivered, ShipmentLost};
use crate::hold::{HoldReleased, OrderHeld};
use crate::inventory::{InventoryReserved, ReservationReleased};
use crate::order::Order;
use crate::payment::{PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentRefunded, PaymentVoided};
use crate::placement::OrderPlaced;
use crate::returns::{ReturnReceived, ReturnRejected, ReturnRequested};

/// One fact in an order's stream.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    /// The order began.
    OrderPlaced(OrderPlaced),
    /// A payment was authorised.
    PaymentAuthorized(PaymentAuthorized),
    /// A payment was declined.
    PaymentDeclined(PaymentDeclined),
    /// Of authorised payments, something will not be captured.
    PaymentVoided(PaymentVoided),
    /// Stock is held for units of the order.
    InventoryReserved(InventoryReserved),
    /// Reservations hold units no longer.
    ReservationReleased(ReservationReleased),
    /// A parcel left.
    OrderShipped(OrderShipped),
    /// A parcel arrived.
    ShipmentDelivered(ShipmentDelivered),
    /// A parcel will not arrive.
    ShipmentLost(ShipmentLost),
    /// Authorised money was taken.
    PaymentCaptured(PaymentCaptured),
    /// Money was given back.
    PaymentRefunded(PaymentRefunded),
    /// Some units are not wanted any more.
    LinesCancelled(LinesCancelled),
    /// No unit is wanted any more.
    OrderCancelled(OrderCancelled),
    /// Units are to come back.
    ReturnRequested(ReturnRequested),
    /// Units came back.
    ReturnReceived(ReturnReceived),
    /// Units are not taken back.
    ReturnRejected(ReturnRejected),
    /// The order waits.
    OrderHeld(OrderHeld),
    /// The order goes on.
    HoldReleased(HoldReleased),
    /// The order is complete.
    OrderCompleted(OrderCompleted),
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
        OrderEvent::PaymentDeclined(event) => event.apply(&mut order),
        OrderEvent::PaymentVoided(event) => event.apply(&mut order),
        OrderEvent::InventoryReserved(event) => event.apply(&mut order),
        OrderEvent::ReservationReleased(event) => event.apply(&mut order),
        OrderEvent::OrderShipped(event) => event.apply(&mut order),
        OrderEvent::ShipmentDelivered(event) => event.apply(&mut order),
        OrderEvent::ShipmentLost(event) => event.apply(&mut order),
        OrderEvent::PaymentCaptured(event) => event.apply(&mut order),
        OrderEvent::PaymentRefunded(event) => event.apply(&mut order),
        OrderEvent::LinesCancelled(event) => event.apply(&mut order),
        OrderEvent::OrderCancelled(event) => event.apply(&mut order),
        OrderEvent::ReturnRequested(event) => event.apply(&mut order),
        OrderEvent::ReturnReceived(event) => event.apply(&mut order),
        OrderEvent::ReturnRejected(event) => event.apply(&mut order),
        OrderEvent::OrderHeld(event) => event.apply(&mut order),
        OrderEvent::HoldReleased(event) => event.apply(&mut order),
        OrderEvent::OrderCompleted(event) => event.apply(&mut order),
    }
    // Whatever covers the order first, a payment or less to pay, ends the time that it has to be paid in.
    if order.payment_term.is_some() && order.is_covered() {
        order.payment_term = None;
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn reason_of(event: &OrderEvent) -> Option<&Reason> {
        match event {
            OrderEvent::PaymentDeclined(declined) => Some(&declined.reason),
            OrderEvent::PaymentVoided(voided) => voided.reason.as_ref(),
            OrderEvent::ReservationReleased(released) => released.reason.as_ref(),
            OrderEvent::ShipmentLost(lost) => lost.reason.as_ref(),
            OrderEvent::PaymentRefunded(refunded) => refunded.reason.as_ref(),
            OrderEvent::LinesCancelled(cancelled) => cancelled.reason.as_ref(),
            OrderEvent::OrderCancelled(cancelled) => cancelled.reason.as_ref(),
            OrderEvent::ReturnRequested(requested) => requested.reason.as_ref(),
            OrderEvent::ReturnRejected(rejected) => rejected.reason.as_ref(),
            OrderEvent::OrderHeld(held) => held.reason.as_ref(),
            OrderEvent::HoldReleased(released) => released.reason.as_ref(),
            OrderEvent::OrderPlaced(_)
            | OrderEvent::PaymentAuthorized(_)
            | OrderEvent::InventoryReserved(_)
            | OrderEvent::OrderShipped(_)
            | OrderEvent::ShipmentDelivered(_)
            | OrderEvent::PaymentCaptured(_)
            | OrderEvent::ReturnReceived(_)
            | OrderEvent::OrderCompleted(_) => None,
        }
    }

    #[test]
    fn a_reason_that_is_given_is_recorded() {
        let said = Reason::new("said").unwrap();
        let reason = Some(said.clone());
        let paid = vec![placed(), paid("p", 5000)];
        let reserved = [paid.clone(), vec![reserved("r", &[(1, 2), (2, 1)])]].concat();
        let shipped = [reserved.clone(), vec![shipped("t", &[(1, "r", 2), (2, "r", 1)])]].concat();
        let captured = [paid.clone(), vec![captured("c", &[("p", 5000)])]].concat();
        let asked_back = [delivered_order(), vec![return_requested("x", &[(1, 1)])]].concat();
        let cases: [(Vec<OrderEvent>, OrderCommand); 11] = [
            (paid.clone(), DeclinePayment { reason: said.clone(), ..decline("p-2") }.into()),
            (paid.clone(), VoidPayment { reason: reason.clone(), ..void("v", "p", None) }.into()),
            (reserved, ReleaseReservation { reason: reason.clone(), ..release("r") }.into()),
            (shipped, LoseShipment { reason: reason.clone(), ..lose("t") }.into()),
            (captured, RefundPayment { reason: reason.clone(), ..refund("f", Some(1)) }.into()),
            (
                vec![placed()],
                CancelUnits { reason: reason.clone(), ..cancel_units("k", [of_line(1, 1)]) }.into(),
            ),
            (vec![placed()], CancelUnits { reason: reason.clone(), ..cancel() }.into()),
            (
                delivered_order(),
                RequestReturn { reason: reason.clone(), ..ask_back("x", [of_line(1, 1)]) }.into(),
            ),
            (asked_back, RejectReturn { reason: reason.clone(), ..reject("x") }.into()),
            (paid, HoldOrder { reason: reason.clone() }.into()),
            (vec![placed(), held()], ReleaseHold { reason: reason.clone() }.into()),
        ];
        for (past, command) in cases {
            let events = given(past).when(command.clone()).events();
            assert_eq!(events.iter().find_map(reason_of), reason.as_ref(), "{command:?}");
        }
    }
}
