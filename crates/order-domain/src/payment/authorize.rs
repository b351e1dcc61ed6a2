use super::{MAX_PAYMENTS, Payment};
use crate::command::matches_recorded;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::ledger::PaymentLedger;
use crate::values::money::Cents;
use crate::values::text::PaymentId;
use crate::values::time::{Expiry, Timestamp};

/// See [`OrderCommand::AuthorizePayment`](crate::OrderCommand::AuthorizePayment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizePayment {
    /// The client's name for the payment.
    pub payment_id: PaymentId,
    /// How much, 0 or more; left out: what is not covered yet.
    pub amount: Option<Cents>,
    /// How long the authorisation holds, 1 to [`MAX_EXPIRES_IN_SECONDS`](crate::MAX_EXPIRES_IN_SECONDS); left out: until it
    /// is voided.
    pub expires_in_seconds: Option<u32>,
}

/// See [`OrderEvent::PaymentAuthorized`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentAuthorized {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How much may be captured of it.
    pub amount: Cents,
    /// When what is not captured of it ends; `None`: not by itself.
    pub expires: Option<Expiry>,
}

impl AuthorizePayment {
    /// Payments already cover all that is due.
    pub const COVERED: Obstacle =
        Obstacle::state("payments already cover all that is due, so there is no amount to authorise");

    /// The order is cancelled.
    pub const CANCELLED: Obstacle =
        Obstacle::state("the order is cancelled, so nothing is due; void the payment at the processor");

    /// There are as many payments as there may be.
    pub const FULL: Obstacle = Obstacle::full("the order has as many payments as an order may have (250)");

    /// The sum of all that was ever authorised is as large as it may be.
    pub const SUM_FULL: Obstacle =
        Obstacle::full("all that was ever authorised would add up to more than 9007199254740991 minor units");
}

/// Something is due and not covered; or the order costs nothing, and one payment of nothing says that somebody agreed to it.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    room(order)?;
    let may_agree_to_nothing = order.total() == Cents::ZERO && order.payments().is_empty();
    if order.is_covered() && !may_agree_to_nothing {
        return Err(AuthorizePayment::COVERED);
    }
    if order.money().authorized >= Cents::MAX {
        return Err(AuthorizePayment::SUM_FULL);
    }
    Ok(())
}

/// There may be another payment, whatever its amount.
fn room(order: &Order) -> Result<(), Obstacle> {
    if order.is_cancelled() {
        return Err(AuthorizePayment::CANCELLED);
    }
    if order.payments().len() >= MAX_PAYMENTS {
        return Err(AuthorizePayment::FULL);
    }
    Ok(())
}

pub(crate) fn decide(
    order: &Order,
    command: &AuthorizePayment,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(payment) = order.payments().iter().find(|payment| payment.id == command.payment_id) {
        let same = matches_recorded(command.amount.as_ref(), &payment.ledger.authorized)
            && command
                .expires_in_seconds
                .is_none_or(|given| Some(given) == payment.expires.map(|e| e.seconds));
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "payment_id" }) };
    }
    room(order)?;
    let amount = amount(order, command.amount)?;
    if order.money().authorized.checked_add(amount).is_err() {
        return Err(AuthorizePayment::SUM_FULL.into());
    }
    let payment_id = command.payment_id.clone();
    let expires = Expiry::from_now(command.expires_in_seconds, now);
    Ok(vec![OrderEvent::PaymentAuthorized(PaymentAuthorized { payment_id, amount, expires })])
}

/// Whoever names an amount is told how much would be allowed, also where that is nothing.
fn amount(order: &Order, given: Option<Cents>) -> Result<Cents, OrderError> {
    let available = order.uncovered();
    match given {
        Some(Cents::ZERO) if order.total() != Cents::ZERO => Err(OrderError::ZeroAmount),
        Some(requested) if requested > available => {
            Err(OrderError::AmountExceedsDue { requested, available })
        }
        Some(Cents::ZERO) | None => {
            guard(order)?;
            Ok(available)
        }
        Some(requested) => Ok(requested),
    }
}

impl PaymentAuthorized {
    pub(crate) fn apply(&self, order: &mut Order) {
        let ledger = PaymentLedger { authorized: self.amount, ..PaymentLedger::default() };
        order.payments.push(Payment { id: self.payment_id.clone(), expires: self.expires, ledger });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn an_amount_left_out_is_what_is_not_covered() {
        given([placed()]).when(pay("p-1", None)).then([paid("p-1", 5000)]);
        given([placed(), paid("p-1", 2000)]).when(pay("p-2", None)).then([paid("p-2", 3000)]);
    }

    #[test]
    fn payments_may_add_up_to_what_is_due_but_not_beyond() {
        given([placed(), paid("p-1", 2000)]).when(pay("p-2", Some(3000))).then([paid("p-2", 3000)]);
        given([placed(), paid("p-1", 2000)])
            .when(pay("p-2", Some(3001)))
            .then_refused(OrderError::AmountExceedsDue { requested: cents(3001), available: cents(3000) });
    }

    #[test]
    fn a_covered_order_takes_no_more() {
        given([placed(), paid("p-1", 5000)])
            .when(pay("p-2", None))
            .then_in_the_way(Action::Payment, AuthorizePayment::COVERED);
        given([placed(), paid("p-1", 5000)])
            .when(pay("p-2", Some(1)))
            .then_refused(OrderError::AmountExceedsDue { requested: cents(1), available: Cents::ZERO });
    }

    #[test]
    fn nothing_may_only_be_authorised_where_nothing_is_to_be_paid() {
        given([placed()]).when(pay("p", Some(0))).then_refused(OrderError::ZeroAmount);
        let free = placed_by(place_lines([line("gift", 1, 0)]));
        given([free.clone()]).when(pay("p", Some(0))).then([paid("p", 0)]);
        given([free.clone()]).when(pay("p", None)).then([paid("p", 0)]);
        for again in [pay("p-2", Some(0)), pay("p-2", None)] {
            given([free.clone(), paid("p", 0)])
                .when(again)
                .then_in_the_way(Action::Payment, AuthorizePayment::COVERED);
        }
    }

    #[test]
    fn an_order_whose_priced_units_are_given_up_has_nothing_to_authorise() {
        let past = [placed_by(place_lines([line("a", 1, 1000), line("gift", 1, 0)]))];
        let given_up = given(past.clone()).when(cancel_units("k", [of_line(1, 1)])).events();
        given(past.into_iter().chain(given_up))
            .when(pay("p", None))
            .then_in_the_way(Action::Payment, AuthorizePayment::COVERED);
    }

    #[test]
    fn a_cancelled_order_takes_no_payment_whatever_its_amount() {
        for payment in [pay("p", None), pay("p", Some(1)), pay("p", Some(5000))] {
            given([placed(), cancelled(&[(1, 2), (2, 1)])])
                .when(payment)
                .then_in_the_way(Action::Payment, AuthorizePayment::CANCELLED);
        }
    }

    #[test]
    fn all_that_was_ever_authorised_adds_up_to_no_more_than_the_largest_amount() {
        let authorized_before = |amount| {
            let placed = placed_by(place_lines([line("a", 1, MAX_CENTS)]));
            [placed, paid("p", amount), voided("v", "p", amount)]
        };
        for payment in [pay("p-2", None), pay("p-2", Some(1))] {
            given(authorized_before(MAX_CENTS))
                .when(payment)
                .then_in_the_way(Action::Payment, AuthorizePayment::SUM_FULL);
        }
        given(authorized_before(MAX_CENTS - 1)).when(pay("p-2", Some(1))).then([paid("p-2", 1)]);
        for payment in [pay("p-2", None), pay("p-2", Some(2))] {
            given(authorized_before(MAX_CENTS - 1))
                .when(payment)
                .then_refused(AuthorizePayment::SUM_FULL.into());
        }
    }

    #[test]
    fn the_same_payment_again_changes_nothing() {
        for retry in [pay("p-1", Some(5000)), pay("p-1", None)] {
            given([placed(), paid("p-1", 5000)]).when(retry).then_nothing();
        }
    }

    #[test]
    fn the_same_payment_id_with_another_amount_is_refused() {
        given([placed(), paid("p-1", 5000)])
            .when(pay("p-1", Some(4999)))
            .then_refused(OrderError::IdReused { id: "payment_id" });
    }

    #[test]
    fn an_order_that_was_not_placed_cannot_be_paid() {
        given([]).when(pay("p-1", None)).then_refused(OrderError::NotFound);
    }
}
