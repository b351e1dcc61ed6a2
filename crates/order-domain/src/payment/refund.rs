use super::{PaymentShare, is_all_of, take_in_turn};
use crate::command::matches_recorded;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::money::Cents;
use crate::values::text::{PaymentId, Reason, RefundId};

/// See [`OrderCommand::RefundPayment`](crate::OrderCommand::RefundPayment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundPayment {
    /// The client's name for the refund.
    pub refund_id: RefundId,
    /// How much, 1 or more; left out: what is owed back, of a named payment at most what is left of it.
    pub amount: Option<Cents>,
    /// Of which payment; left out: of what was captured latest.
    pub payment_id: Option<PaymentId>,
    /// Whether what is refunded beyond what is owed back is to be paid anew, as when a card is changed; left out: it is not.
    pub repay: Option<bool>,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::PaymentRefunded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRefunded {
    /// Which refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Cents,
    /// How much of which payments.
    pub shares: Vec<PaymentShare>,
    /// Whether what goes beyond what was owed back stays due.
    pub repay: bool,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

/// Money that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The client's name for it.
    pub id: RefundId,
    /// How much.
    pub amount: Cents,
    /// How much of which payments.
    pub shares: Vec<PaymentShare>,
    /// Whether what went beyond what was owed back stayed due.
    pub repay: bool,
}

impl RefundPayment {
    /// There is nothing to give back.
    pub const NOTHING_CAPTURED: Obstacle =
        Obstacle::state("nothing is captured that is not refunded, so there is nothing to refund");

    /// The payment has nothing to give back.
    pub const NOTHING_CAPTURED_OF_PAYMENT: Obstacle =
        Obstacle::state("nothing is captured of this payment that is not refunded");

    /// Nothing is owed back, so there is no amount that goes without saying.
    pub const NOTHING_OWED: Obstacle =
        Obstacle::state("nothing is owed back, so the amount to refund has to be named");
}

/// Something was captured and not refunded.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.money().net() == Cents::ZERO {
        return Err(RefundPayment::NOTHING_CAPTURED);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &RefundPayment) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.refunds().iter().find(|earlier| earlier.id == command.refund_id) {
        let same = matches_recorded(command.amount.as_ref(), &earlier.amount)
            && matches_recorded(command.repay.as_ref(), &earlier.repay)
            && is_all_of(&earlier.shares, command.payment_id.as_ref());
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "refund_id" }) };
    }
    let (amount, shares) = match &command.payment_id {
        Some(payment_id) => {
            let available = order.payment(payment_id)?.ledger.net();
            let amount = amount(order, command.amount, available)?;
            (amount, vec![PaymentShare { payment_id: payment_id.clone(), amount }])
        }
        None => {
            let amount = amount(order, command.amount, order.money().net())?;
            (amount, latest_capture_first(order, amount))
        }
    };
    Ok(vec![OrderEvent::PaymentRefunded(PaymentRefunded {
        refund_id: command.refund_id.clone(),
        amount,
        shares,
        repay: command.repay.unwrap_or(false),
        reason: command.reason.clone(),
    })])
}

/// `available` is what was captured and not refunded, of the payment that was named or of all.
fn amount(order: &Order, given: Option<Cents>, available: Cents) -> Result<Cents, OrderError> {
    match given {
        Some(requested) if requested > available => {
            Err(OrderError::AmountExceedsCaptured { requested, available })
        }
        Some(requested) => Ok(requested),
        None => {
            guard(order)?;
            if available == Cents::ZERO {
                return Err(RefundPayment::NOTHING_CAPTURED_OF_PAYMENT.into());
            }
            match order.refund_due().min(available) {
                Cents::ZERO => Err(RefundPayment::NOTHING_OWED.into()),
                owed => Ok(owed),
            }
        }
    }
}

/// The latest capture gives back first.
fn latest_capture_first(order: &Order, amount: Cents) -> Vec<PaymentShare> {
    let left = order.captures().iter().rev().flat_map(|capture| capture.left.iter().rev());
    merged(take_in_turn(amount, left.map(|share| (&share.payment_id, share.amount))))
}

/// One share for each payment, in the order in which they come first.
fn merged(shares: Vec<PaymentShare>) -> Vec<PaymentShare> {
    let mut merged = Vec::<PaymentShare>::new();
    for share in shares {
        match merged.iter_mut().find(|known| known.payment_id == share.payment_id) {
            Some(known) => known.amount = known.amount.saturating_add(share.amount),
            None => merged.push(share),
        }
    }
    merged
}

impl PaymentRefunded {
    pub(crate) fn apply(&self, order: &mut Order) {
        if !self.repay {
            let beyond = self.amount.minus_or_zero(order.refund_due());
            order.bill.forgive(beyond);
        }
        order.count_shares(&self.shares, |ledger| &mut ledger.refunded);
        for share in &self.shares {
            take_from_latest_captures(order, share);
        }
        let (id, shares) = (self.refund_id.clone(), self.shares.clone());
        order.refunds.push(Refund { id, amount: self.amount, shares, repay: self.repay });
    }
}

/// What is refunded of a payment is what was captured of it latest.
fn take_from_latest_captures(order: &mut Order, PaymentShare { payment_id, amount }: &PaymentShare) {
    let mut missing = *amount;
    for capture in order.captures.iter_mut().rev() {
        for left in capture.left.iter_mut().filter(|left| left.payment_id == *payment_id) {
            let taken = left.amount.min(missing);
            left.amount = left.amount.minus_or_zero(taken);
            missing = missing.minus_or_zero(taken);
        }
        capture.left.retain(|left| left.amount > Cents::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    /// Two for 1000 each and their shipping, if any: paid, captured, shipped and delivered.
    fn delivered_order(shipping: i64) -> Vec<OrderEvent> {
        let shipping_costs = Some(vec![adjustment(AdjustmentKind::Shipping, shipping)]);
        let total = 2000 + shipping;
        vec![
            placed_by(PlaceOrder { adjustments: shipping_costs, ..place_lines([line("a", 2, 1000)]) }),
            paid("p", total),
            reserved("r", &[(1, 2)]),
            shipped("t", &[(1, "r", 2)]),
            captured("c", &[("p", total)]),
            delivered("t"),
        ]
    }

    #[test]
    fn an_amount_left_out_is_what_is_owed_back() {
        let past = delivered_order(0)
            .into_iter()
            .chain([return_requested("x", &[(1, 1)]), received("x", &[(1, 1)])]);
        given(past).when(refund("f", None)).then([refunded("f", &[("p", 1000)])]);
    }

    #[test]
    fn where_nothing_is_owed_back_the_amount_has_to_be_named() {
        given(delivered_order(0)).when(refund("f", None)).then_refused(RefundPayment::NOTHING_OWED.into());
        given(delivered_order(0)).when(refund("f", Some(1))).then([refunded("f", &[("p", 1)])]);
    }

    #[test]
    fn what_is_refunded_beyond_what_is_owed_back_is_not_owed_any_more() {
        let order = given(delivered_order(0)).when(refund("f", Some(500))).order();
        assert_eq!(
            (order.due(), order.refund_due(), order.uncovered()),
            (cents(1500), Cents::ZERO, Cents::ZERO)
        );
    }

    /// Asked back, refunded before it arrives, received: nothing is given back twice.
    #[test]
    fn a_refund_before_the_return_arrives_is_the_refund_of_the_return() {
        let past = delivered_order(0).into_iter().chain([
            return_requested("x", &[(1, 1)]),
            refunded("f", &[("p", 1000)]),
            received("x", &[(1, 1)]),
        ]);
        let order = given(past).order();
        assert_eq!(
            (order.due(), order.refund_due(), order.uncovered()),
            (cents(1000), Cents::ZERO, Cents::ZERO)
        );
    }

    #[test]
    fn a_refund_before_the_units_are_given_up_leaves_the_shipping_paid() {
        let placed = placed_by(PlaceOrder {
            adjustments: Some(vec![adjustment(AdjustmentKind::Shipping, 200)]),
            ..place_lines([line("a", 2, 1000)])
        });
        let past = [placed, paid("p", 2200), captured("c", &[("p", 2200)]), refunded("f", &[("p", 1000)])];
        let order = given(past).when(cancel_units("k", [of_line(1, 1)])).order();
        assert_eq!(
            (order.due(), order.refund_due(), order.uncovered()),
            (cents(1200), Cents::ZERO, Cents::ZERO)
        );
        let all_back = delivered_order(200).into_iter().chain([
            refunded("f", &[("p", 2000)]),
            return_requested("x", &[(1, 2)]),
            received("x", &[(1, 2)]),
        ]);
        let order = given(all_back).order();
        assert_eq!((order.due(), order.refund_due()), (cents(200), Cents::ZERO));
        assert!(order.has_ended());
    }

    #[test]
    fn what_is_refunded_to_be_repaid_stays_due() {
        let placed = placed_by(place_lines([line("a", 1, 1000)]));
        let past = [placed, paid("p", 1000), reserved("r", &[(1, 1)]), captured("c", &[("p", 1000)])];
        let repay = RefundPayment { repay: Some(true), ..refund("f", Some(1000)) };
        let refunded = given(past.clone()).when(repay).events();
        let past: Vec<_> = past.into_iter().chain(refunded).collect();
        let order = given(past.clone()).order();
        assert_eq!((order.due(), order.uncovered()), (cents(1000), cents(1000)));
        assert_eq!(order.allows(Action::Ship), Err(ShipOrder::NOT_COVERED));
        given(past).when(pay("p-2", None)).then([paid("p-2", 1000)]);
    }

    #[test]
    fn the_latest_capture_gives_back_first() {
        let past = vec![
            placed(),
            paid("p-1", 2000),
            paid("p-2", 3000),
            captured("c-1", &[("p-1", 1500)]),
            captured("c-2", &[("p-1", 500), ("p-2", 1000)]),
        ];
        given(past.clone())
            .when(refund("f", Some(1200)))
            .then([refunded("f", &[("p-2", 1000), ("p-1", 200)])]);
        let past = past.into_iter().chain([refunded("f", &[("p-2", 1000), ("p-1", 200)])]);
        given(past).when(refund("f-2", Some(400))).then([refunded("f-2", &[("p-1", 400)])]);
    }

    /// What was refunded before a capture is none of that capture.
    #[test]
    fn a_capture_that_came_after_a_refund_is_whole() {
        let past = [
            placed(),
            paid("p-1", 2000),
            paid("p-2", 3000),
            captured("c-1", &[("p-1", 1000)]),
            refunded("f-1", &[("p-1", 1000)]),
            captured("c-2", &[("p-2", 1000)]),
            captured("c-3", &[("p-1", 1000)]),
        ];
        given(past).when(refund("f-2", Some(1200))).then([refunded("f-2", &[("p-1", 1000), ("p-2", 200)])]);
    }

    /// 600 were refunded of what two captures took of one payment: all of the later 500, and 100 of the earlier.
    #[test]
    fn what_is_left_of_captures_is_reckoned_from_the_latest() {
        let past = [
            placed(),
            paid("p-1", 1000),
            paid("p-2", 4000),
            captured("c-1", &[("p-1", 500), ("p-2", 200)]),
            captured("c-2", &[("p-1", 500)]),
            refunded("f", &[("p-1", 600)]),
        ];
        given(past).when(refund("f-2", Some(600))).then([refunded("f-2", &[("p-2", 200), ("p-1", 400)])]);
    }

    #[test]
    fn only_what_goes_beyond_what_is_owed_back_is_goodwill() {
        let one_back = || {
            let back = [return_requested("x", &[(1, 1)]), received("x", &[(1, 1)])];
            delivered_order(0).into_iter().chain(back)
        };
        let order = given(one_back()).when(refund("f", Some(1500))).order();
        assert_eq!((order.due(), order.refund_due()), (cents(500), Cents::ZERO));
        let order = given(one_back()).when(refund("f", None)).order();
        assert_eq!((order.due(), order.refund_due()), (cents(1000), Cents::ZERO));
    }

    #[test]
    fn a_payment_may_be_named() {
        let past = || {
            vec![placed(), paid("p-1", 2000), paid("p-2", 3000), captured("c", &[("p-1", 2000), ("p-2", 10)])]
        };
        given(past()).when(refund_of("f", Some(700), "p-1")).then([refunded("f", &[("p-1", 700)])]);
        given(past()).when(refund_of("f", Some(2001), "p-1")).then_refused(
            OrderError::AmountExceedsCaptured { requested: cents(2001), available: cents(2000) },
        );
        given(past())
            .when(refund_of("f", None, "p-3"))
            .then_refused(OrderError::UnknownReference { part: "payment", name: "p-3".to_owned() });
        let gone = past().into_iter().chain([refunded("f-1", &[("p-2", 10)])]);
        given(gone)
            .when(refund_of("f", None, "p-2"))
            .then_refused(RefundPayment::NOTHING_CAPTURED_OF_PAYMENT.into());
        let cancelled = past().into_iter().chain([cancelled(&[(1, 2), (2, 1)])]);
        given(cancelled).when(refund_of("f", None, "p-2")).then([refunded("f", &[("p-2", 10)])]);
    }

    #[test]
    fn no_more_than_was_captured_is_refunded() {
        given([placed(), paid("p", 5000)])
            .when(refund("f", None))
            .then_in_the_way(Action::Refund, RefundPayment::NOTHING_CAPTURED);
        given([placed(), paid("p", 5000), captured("c", &[("p", 100)])])
            .when(refund("f", Some(101)))
            .then_refused(OrderError::AmountExceedsCaptured { requested: cents(101), available: cents(100) });
    }

    #[test]
    fn the_same_refund_again_changes_nothing() {
        let past = || delivered_order(0).into_iter().chain([refunded("f", &[("p", 700)])]);
        let said = RefundPayment { repay: Some(false), ..refund_of("f", Some(700), "p") };
        for retry in [refund("f", None), refund("f", Some(700)), said] {
            given(past()).when(retry).then_nothing();
        }
        let repay = RefundPayment { repay: Some(true), ..refund("f", None) };
        for other in [refund("f", Some(1)), refund_of("f", None, "p-2"), repay] {
            given(past()).when(other).then_refused(OrderError::IdReused { id: "refund_id" });
        }
    }
}
