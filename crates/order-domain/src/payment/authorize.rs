use super::Payment;
use crate::decide::matches_recorded;
use crate::error::{IdKind, Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::ledger::PaymentLedger;
use crate::values::money::Cents;
use crate::values::text::PaymentId;

/// See [`OrderCommand::AuthorizePayment`](crate::OrderCommand::AuthorizePayment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizePayment {
    /// The client's name for the payment.
    pub payment_id: PaymentId,
    /// How much, 0 or more; left out: what is not covered yet.
    pub amount: Option<Cents>,
}

/// See [`OrderEvent::PaymentAuthorized`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentAuthorized {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How much may be captured of it.
    pub amount: Cents,
}

/// What stands in a payment's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaymentObstacle {
    /// There is nothing left to stand for.
    #[error("payments already cover all that is due, so there is no amount to authorise")]
    Covered,
}

/// Something is left to stand for; or the order costs nothing, and a payment of nothing says that somebody agreed to it.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.is_covered() && order.total() != Cents::ZERO {
        return Err(PaymentObstacle::Covered.into());
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &AuthorizePayment) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(payment) = order.payments().iter().find(|payment| payment.id == command.payment_id) {
        return if matches_recorded(command.amount.as_ref(), &payment.ledger.authorized) {
            Ok(Vec::new())
        } else {
            Err(OrderError::IdReused { kind: IdKind::Payment })
        };
    }
    let amount = amount(order, command.amount)?;
    let payment_id = command.payment_id.clone();
    Ok(vec![OrderEvent::PaymentAuthorized(PaymentAuthorized { payment_id, amount })])
}

/// Whoever names an amount is told how much would be allowed, also where that is nothing.
fn amount(order: &Order, given: Option<Cents>) -> Result<Cents, OrderError> {
    let available = order.uncovered();
    match given {
        Some(Cents::ZERO) if order.total() != Cents::ZERO => Err(OrderError::ZeroAmount),
        Some(requested) if requested > available => {
            Err(OrderError::AmountExceedsDue { requested, available })
        }
        Some(requested) => Ok(requested),
        None => {
            guard(order)?;
            Ok(available)
        }
    }
}

impl PaymentAuthorized {
    pub(crate) fn apply(&self, order: &mut Order) {
        let ledger = PaymentLedger { authorized: self.amount, ..PaymentLedger::default() };
        order.payments.push(Payment { id: self.payment_id.clone(), ledger });
    }
}
