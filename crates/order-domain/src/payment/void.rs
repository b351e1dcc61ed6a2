use super::{PaymentShare, amount_of_open, take_in_turn};
use crate::command::matches_recorded;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::bill::Bill;
use crate::values::cause::Cause;
use crate::values::money::Cents;
use crate::values::text::{PaymentId, Reason, VoidId};

/// See [`OrderCommand::VoidPayment`](crate::OrderCommand::VoidPayment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidPayment {
    /// The client's name for the void.
    pub void_id: VoidId,
    /// Which payment.
    pub payment_id: PaymentId,
    /// How much of its open authorisation, 1 or more; left out: all of it.
    pub amount: Option<Cents>,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::PaymentVoided`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentVoided {
    /// The client's name for the void, if a client asked for it.
    pub void_id: Option<VoidId>,
    /// Why the service did it, if no client asked for it.
    pub cause: Option<Cause>,
    /// How much of which payments.
    pub shares: Vec<PaymentShare>,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

/// A void that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Void {
    /// The client's name for it.
    pub id: VoidId,
    /// How much of which payment.
    pub share: PaymentShare,
}

impl VoidPayment {
    /// No authorisation is open.
    pub const NOTHING_OPEN: Obstacle =
        Obstacle::state("no authorisation is open, so there is nothing to void");

    /// The payment's authorisation is not open.
    pub const NOTHING_OPEN_OF_PAYMENT: Obstacle =
        Obstacle::state("no authorisation of this payment is open, so there is nothing to void");
}

/// An authorisation is open.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.money().open_authorization() == Cents::ZERO {
        return Err(VoidPayment::NOTHING_OPEN);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &VoidPayment) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.voids.iter().find(|earlier| earlier.id == command.void_id) {
        let same = command.payment_id == earlier.share.payment_id
            && matches_recorded(command.amount.as_ref(), &earlier.share.amount);
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "void_id" }) };
    }
    let available = order.payment(&command.payment_id)?.ledger.open_authorization();
    let nothing_open = || guard(order).err().unwrap_or(VoidPayment::NOTHING_OPEN_OF_PAYMENT);
    let amount = amount_of_open(command.amount, available, nothing_open)?;
    Ok(vec![OrderEvent::PaymentVoided(PaymentVoided {
        void_id: Some(command.void_id.clone()),
        cause: None,
        shares: vec![PaymentShare { payment_id: command.payment_id.clone(), amount }],
        reason: command.reason.clone(),
    })])
}

/// What is voided when less is due, as `bill` says: open authorisations beyond what is due and not taken yet, the latest
/// first.
pub(crate) fn void_beyond(order: &Order, bill: &Bill, cause: Cause) -> Option<OrderEvent> {
    let money = order.money();
    let needed = bill.due().minus_or_zero(money.net());
    let excess = money.open_authorization().minus_or_zero(needed);
    if excess == Cents::ZERO {
        return None;
    }
    let latest_first = order.payments().iter().rev();
    let open = latest_first.map(|payment| (&payment.id, payment.ledger.open_authorization()));
    let shares = take_in_turn(excess, open);
    Some(OrderEvent::PaymentVoided(PaymentVoided { void_id: None, cause: Some(cause), shares, reason: None }))
}

impl PaymentVoided {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.count_shares(&self.shares, |ledger| &mut ledger.voided);
        if let (Some(id), [share]) = (&self.void_id, &self.shares[..]) {
            order.voids.push(Void { id: id.clone(), share: share.clone() });
        }
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
    fn an_amount_left_out_is_all_that_is_open_of_the_payment() {
        given(two_payments()).when(void("v", "p-1", None)).then([voided("v", "p-1", 2000)]);
        let captured = captured("c", &[("p-1", 500)]);
        given(two_payments().into_iter().chain([captured]))
            .when(void("v", "p-1", None))
            .then([voided("v", "p-1", 1500)]);
    }

    #[test]
    fn what_is_voided_covers_nothing_any_more() {
        let order = given(two_payments()).when(void("v", "p-1", Some(500))).order();
        assert_eq!(order.uncovered(), cents(500));
        assert_eq!(order.status(), Status::Placed);
    }

    #[test]
    fn all_that_is_open_of_the_payment_may_be_named_and_no_more() {
        given(two_payments()).when(void("v", "p-1", Some(2000))).then([voided("v", "p-1", 2000)]);
        given(two_payments()).when(void("v", "p-1", Some(2001))).then_refused(
            OrderError::AmountExceedsAuthorized { requested: cents(2001), available: cents(2000) },
        );
    }

    #[test]
    fn where_nothing_is_open_there_is_nothing_to_void() {
        let done = [placed(), paid("p", 5000), voided("v", "p", 5000)];
        given(done).when(void("v-2", "p", None)).then_in_the_way(Action::Void, VoidPayment::NOTHING_OPEN);
        let first_done = two_payments().into_iter().chain([voided("v", "p-1", 2000)]);
        given(first_done)
            .when(void("v-2", "p-1", None))
            .then_refused(VoidPayment::NOTHING_OPEN_OF_PAYMENT.into());
    }

    #[test]
    fn a_payment_that_is_not_there_is_refused() {
        given(two_payments())
            .when(void("v", "p-3", None))
            .then_refused(OrderError::UnknownReference { part: "payment", name: "p-3".to_owned() });
    }

    #[test]
    fn the_same_void_again_changes_nothing() {
        let past = || two_payments().into_iter().chain([voided("v", "p-1", 2000)]);
        for retry in [void("v", "p-1", None), void("v", "p-1", Some(2000))] {
            given(past()).when(retry).then_nothing();
        }
        for other in [void("v", "p-1", Some(1999)), void("v", "p-2", None)] {
            given(past()).when(other).then_refused(OrderError::IdReused { id: "void_id" });
        }
    }
}
