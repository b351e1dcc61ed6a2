use super::matches_recorded;
use crate::command::{OrderLine, PlaceOrder};
use crate::error::{IdKind, OrderError};
use crate::event::{OrderEvent, OrderPlaced};
use crate::money::{Adjustment, Cents};
use crate::order::Order;

pub(super) fn decide(order: Option<&Order>, command: &PlaceOrder) -> Result<Vec<OrderEvent>, OrderError> {
    match order {
        Some(order) if is_repetition(order, command) => Ok(Vec::new()),
        Some(_) => Err(OrderError::IdReused { kind: IdKind::Order }),
        None => Ok(vec![OrderEvent::OrderPlaced(placed(command)?)]),
    }
}

fn placed(command: &PlaceOrder) -> Result<OrderPlaced, OrderError> {
    let adjustments = command.adjustments.clone().unwrap_or_default();
    Ok(OrderPlaced {
        customer_id: command.customer_id.clone(),
        currency: command.currency.unwrap_or(command.default_currency),
        total: total(&command.lines, &adjustments)?,
        lines: command.lines.clone(),
        adjustments,
        metadata: command.metadata.clone().unwrap_or_default(),
    })
}

fn total(lines: &[OrderLine], adjustments: &[Adjustment]) -> Result<Cents, OrderError> {
    let mut total = Cents::ZERO;
    for line in lines {
        total = total.checked_add(line.unit_price.checked_times(u64::from(line.quantity.get()))?)?;
    }
    for adjustment in adjustments {
        total = total.checked_add(adjustment.amount)?;
    }
    if total < Cents::ZERO {
        return Err(OrderError::InvalidTotal("discounts must not be more than lines and charges together"));
    }
    Ok(total)
}

fn is_repetition(order: &Order, command: &PlaceOrder) -> bool {
    let same_line = |(given, placed): (&OrderLine, &crate::order::Line)| {
        given.sku == placed.sku
            && given.unit_price == placed.unit_price
            && given.quantity.get() == placed.ledger.ordered
    };
    command.customer_id == *order.customer_id()
        && command.lines.len() == order.lines().len()
        && command.lines.iter().zip(order.lines()).all(same_line)
        && matches_recorded(command.currency.as_ref(), &order.currency())
        && command.adjustments.as_deref().is_none_or(|given| given == order.adjustments())
        && command.metadata.as_ref().is_none_or(|given| given.same_pairs(order.metadata()))
}
