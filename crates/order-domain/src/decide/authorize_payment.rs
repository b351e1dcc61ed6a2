use super::matches_recorded;
use crate::command::AuthorizePayment;
use crate::error::{IdKind, OrderError};
use crate::event::{OrderEvent, PaymentAuthorized};
use crate::money::Cents;
use crate::order::Order;

pub(super) fn decide(order: &Order, command: &AuthorizePayment) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(payment) = order.payments().iter().find(|payment| payment.id == command.payment_id) {
        return if matches_recorded(command.amount.as_ref(), &payment.ledger.authorized) {
            Ok(Vec::new())
        } else {
            Err(OrderError::IdReused { kind: IdKind::Payment })
        };
    }
    let amount = amount(order, command.amount)?;
    Ok(vec![OrderEvent::PaymentAuthorized(PaymentAuthorized {
        payment_id: command.payment_id.clone(),
        amount,
    })])
}

fn amount(order: &Order, given: Option<Cents>) -> Result<Cents, OrderError> {
    let uncovered = order.uncovered();
    let free_of_charge = order.total() == Cents::ZERO;
    match given {
        Some(Cents::ZERO) if !free_of_charge => Err(OrderError::ZeroAmount),
        Some(requested) if requested > uncovered => {
            Err(OrderError::AmountExceedsDue { requested, available: uncovered })
        }
        Some(requested) => Ok(requested),
        None if uncovered == Cents::ZERO && !free_of_charge => Err(OrderError::InvalidTransition {
            reason: "payments already cover all that is due, so there is no amount to authorise",
        }),
        None => Ok(uncovered),
    }
}
