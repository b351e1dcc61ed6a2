use super::{PaymentShare, amount_of_open, is_all_of, take_in_turn};
use crate::command::matches_recorded;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::money::Cents;
use crate::values::text::{CaptureId, PaymentId};

/// See [`OrderCommand::CapturePayment`](crate::OrderCommand::CapturePayment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturePayment {
    /// The client's name for the capture.
    pub capture_id: CaptureId,
    /// How much of the open authorisations, 1 or more; left out: all of them.
    pub amount: Option<Cents>,
    /// Of which payment; left out: of any, in the order in which they were authorised.
    pub payment_id: Option<PaymentId>,
}

/// See [`OrderEvent::PaymentCaptured`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentCaptured {
    /// Which capture.
    pub capture_id: CaptureId,
    /// How much.
    pub amount: Cents,
    /// How much of which payments.
    pub shares: Vec<PaymentShare>,
}

/// Money that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The client's name for it.
    pub id: CaptureId,
    /// How much.
    pub amount: Cents,
    /// How much of which payments.
    pub shares: Vec<PaymentShare>,
    /// How much of which payments has not been refunded.
    pub(crate) left: Vec<PaymentShare>,
}

impl CapturePayment {
    /// No authorisation is open.
    pub const NOTHING_OPEN: Obstacle =
        Obstacle::state("no authorisation is open, so there is nothing to capture");

    /// The payment's authorisation is not open.
    pub const NOTHING_OPEN_OF_PAYMENT: Obstacle =
        Obstacle::state("no authorisation of this payment is open, so there is nothing to capture");
}

/// An authorisation is open, and the order is not held back.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.on_hold() {
        return Err(Obstacle::ON_HOLD);
    }
    if order.money().open_authorization() == Cents::ZERO {
        return Err(CapturePayment::NOTHING_OPEN);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &CapturePayment) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.captures().iter().find(|earlier| earlier.id == command.capture_id) {
        let same = matches_recorded(command.amount.as_ref(), &earlier.amount)
            && is_all_of(&earlier.shares, command.payment_id.as_ref());
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "capture_id" }) };
    }
    let named = command.payment_id.as_ref().map(|named| order.payment(named)).transpose()?;
    if order.on_hold() {
        return Err(Obstacle::ON_HOLD.into());
    }
    let payments = order.payments().iter().filter(|payment| named.is_none_or(|named| named.id == payment.id));
    let open = payments.map(|payment| (&payment.id, payment.ledger.open_authorization()));
    let available = open.clone().fold(Cents::ZERO, |sum, (_, open)| sum.saturating_add(open));
    let nothing_open = || guard(order).err().unwrap_or(CapturePayment::NOTHING_OPEN_OF_PAYMENT);
    let amount = amount_of_open(command.amount, available, nothing_open)?;
    let capture_id = command.capture_id.clone();
    let shares = take_in_turn(amount, open);
    Ok(vec![OrderEvent::PaymentCaptured(PaymentCaptured { capture_id, amount, shares })])
}

impl PaymentCaptured {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.count_shares(&self.shares, |ledger| &mut ledger.captured);
        let (id, shares, left) = (self.capture_id.clone(), self.shares.clone(), self.shares.clone());
        order.captures.push(Capture { id, amount: self.amount, shares, left });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn two_payments() -> Vec<OrderEvent> {
        vec![placed(), paid("p-1", 2000), paid("p-2", 3000)]
    }

    #[test]
    fn an_amount_left_out_is_all_that_is_open() {
        given(two_payments()).when(capture("c", None)).then([captured("c", &[("p-1", 2000), ("p-2", 3000)])]);
        let past = two_payments().into_iter().chain([captured("c-1", &[("p-1", 500)])]);
        given(past).when(capture("c-2", None)).then([captured("c-2", &[("p-1", 1500), ("p-2", 3000)])]);
    }

    #[test]
    fn payments_are_captured_in_the_order_in_which_they_were_authorised() {
        given(two_payments())
            .when(capture("c", Some(2500)))
            .then([captured("c", &[("p-1", 2000), ("p-2", 500)])]);
        given(two_payments())
            .when(capture("c", Some(5000)))
            .then([captured("c", &[("p-1", 2000), ("p-2", 3000)])]);
    }

    #[test]
    fn a_payment_may_be_named() {
        given(two_payments()).when(capture_of("c", None, "p-2")).then([captured("c", &[("p-2", 3000)])]);
        given(two_payments()).when(capture_of("c", Some(3001), "p-2")).then_refused(
            OrderError::AmountExceedsAuthorized { requested: cents(3001), available: cents(3000) },
        );
        given(two_payments())
            .when(capture_of("c", None, "p-3"))
            .then_refused(OrderError::UnknownReference { part: "payment", name: "p-3".to_owned() });
        given(two_payments().into_iter().chain([captured("c-1", &[("p-2", 3000)])]))
            .when(capture_of("c", None, "p-2"))
            .then_refused(CapturePayment::NOTHING_OPEN_OF_PAYMENT.into());
    }

    /// 10,000 authorised; 7,000 and 2,000 captured; the rest voided; then one cent more.
    #[test]
    fn what_was_voided_is_not_captured() {
        let placed = placed_by(place_lines([line("a", 1, 10_000)]));
        let mut past = vec![placed, paid("p", 10_000)];
        for (id, amount) in [("c-1", 7000), ("c-2", 2000)] {
            let event = captured(id, &[("p", amount)]);
            given(past.clone()).when(capture(id, Some(amount))).then([event.clone()]);
            past.push(event);
        }
        given(past.clone()).when(void("v", "p", None)).then([voided("v", "p", 1000)]);
        past.push(voided("v", "p", 1000));
        let money = given(past.clone()).order().money();
        assert_eq!((money.captured, money.voided), (cents(9000), cents(1000)));
        given(past.clone()).when(capture("c-3", Some(1))).then_refused(OrderError::AmountExceedsAuthorized {
            requested: cents(1),
            available: Cents::ZERO,
        });
        given(past).when(capture("c-3", None)).then_in_the_way(Action::Capture, CapturePayment::NOTHING_OPEN);
    }

    #[test]
    fn a_held_order_is_not_captured() {
        let held = two_payments().into_iter().chain([held()]);
        given(held.clone()).when(capture("c", None)).then_in_the_way(Action::Capture, Obstacle::ON_HOLD);
        given(held).when(capture("c", Some(1))).then_in_the_way(Action::Capture, Obstacle::ON_HOLD);
    }

    #[test]
    fn the_same_capture_again_changes_nothing() {
        let past = || two_payments().into_iter().chain([captured("c", &[("p-1", 700)]), held()]);
        for retry in [capture("c", None), capture("c", Some(700)), capture_of("c", Some(700), "p-1")] {
            given(past()).when(retry).then_nothing();
        }
        for other in [capture("c", Some(699)), capture_of("c", Some(700), "p-2")] {
            given(past()).when(other).then_refused(OrderError::IdReused { id: "capture_id" });
        }
        let of_both = captured("c", &[("p-1", 2000), ("p-2", 1)]);
        given(two_payments().into_iter().chain([of_both]))
            .when(capture_of("c", None, "p-1"))
            .then_refused(OrderError::IdReused { id: "capture_id" });
    }
}
