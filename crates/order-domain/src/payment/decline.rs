use super::MAX_DECLINES;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::text::{PaymentId, Reason};

/// See [`OrderCommand::DeclinePayment`](crate::OrderCommand::DeclinePayment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclinePayment {
    /// The client's name for the payment.
    pub payment_id: PaymentId,
    /// Why; not compared when the command is repeated.
    pub reason: Reason,
}

/// See [`OrderEvent::PaymentDeclined`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentDeclined {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Why.
    pub reason: Reason,
}

impl DeclinePayment {
    /// The order has ended.
    pub const ENDED: Obstacle = Obstacle::state("the order has ended, and nothing more is paid for it");

    /// There are as many declined payments as there may be.
    pub const FULL: Obstacle =
        Obstacle::full("the order has as many declined payments as an order may have (100)");
}

/// The order has not ended.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.has_ended() {
        return Err(DeclinePayment::ENDED);
    }
    if order.declined_payments().len() >= MAX_DECLINES {
        return Err(DeclinePayment::FULL);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &DeclinePayment) -> Result<Vec<OrderEvent>, OrderError> {
    let DeclinePayment { payment_id, reason } = command;
    // A retry that comes late, after the payment was authorised in the end, is still a retry.
    if order.declined_payments().contains(payment_id) {
        return Ok(Vec::new());
    }
    if order.payment(payment_id).is_ok() {
        return Err(OrderError::IdReused { id: "payment_id" });
    }
    guard(order)?;
    let (payment_id, reason) = (payment_id.clone(), reason.clone());
    Ok(vec![OrderEvent::PaymentDeclined(PaymentDeclined { payment_id, reason })])
}

impl PaymentDeclined {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.declined.push(self.payment_id.clone());
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn a_declined_payment_is_recorded_and_covers_nothing() {
        given([placed()]).when(decline("p")).then([declined("p")]);
        let order = given([placed(), declined("p")]).order();
        assert_eq!(order.money(), PaymentLedger::default());
        assert_eq!(order.status(), Status::Placed);
    }

    #[test]
    fn the_same_decline_again_changes_nothing_whatever_its_reason() {
        let other_reason = DeclinePayment { reason: Reason::new("other").unwrap(), ..decline("p") };
        given([placed(), declined("p")]).when(other_reason).then_nothing();
    }

    #[test]
    fn a_declined_payment_may_be_authorised_later() {
        given([placed(), declined("p")]).when(pay("p", None)).then([paid("p", 5000)]);
        given([placed(), declined("p"), paid("p", 5000)]).when(decline("p")).then_nothing();
    }

    #[test]
    fn an_authorised_payment_is_not_declined() {
        given([placed(), paid("p", 5000)])
            .when(decline("p"))
            .then_refused(OrderError::IdReused { id: "payment_id" });
    }

    #[test]
    fn an_order_that_has_ended_has_no_more_payments() {
        given([placed(), cancelled(&[(1, 2), (2, 1)])])
            .when(decline("p"))
            .then_in_the_way(Action::Decline, DeclinePayment::ENDED);
    }

    #[test]
    fn there_is_room_for_100_declines() {
        let declines = |n: u32| (0..n).map(|n| declined(&format!("p-{n}")));
        given([placed()].into_iter().chain(declines(99))).when(decline("p")).then([declined("p")]);
        given([placed()].into_iter().chain(declines(100)))
            .when(decline("p"))
            .then_in_the_way(Action::Decline, DeclinePayment::FULL);
    }
}
