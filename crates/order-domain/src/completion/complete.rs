use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::status::Status;
use crate::values::money::Cents;

/// See [`OrderCommand::CompleteOrder`](crate::OrderCommand::CompleteOrder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteOrder;

/// See [`OrderEvent::OrderCompleted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderCompleted;

impl CompleteOrder {
    /// It is complete already.
    pub const COMPLETED: Obstacle = Obstacle::state("the order is complete already");

    /// Not everything has arrived.
    pub const NOT_DELIVERED: Obstacle =
        Obstacle::state("an order is complete when all that was shipped is delivered and no unit is open");

    /// A return is waited for.
    pub const RETURN_OPEN: Obstacle = Obstacle::state("a return is open; receive or reject it first");

    /// Money is owed back.
    pub const REFUND_DUE: Obstacle = Obstacle::state("money is owed back; refund it first");

    /// Payments do not cover what is due.
    pub const NOT_COVERED: Obstacle =
        Obstacle::state("payments must cover all that is due before the order is completed");
}

/// Everything arrived, no return is open, no money is owed either way, and the order is not held back.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.completed {
        return Err(CompleteOrder::COMPLETED);
    }
    if order.on_hold() {
        return Err(Obstacle::ON_HOLD);
    }
    if order.status() != Status::Delivered {
        return Err(CompleteOrder::NOT_DELIVERED);
    }
    if order.has_open_return() {
        return Err(CompleteOrder::RETURN_OPEN);
    }
    if order.refund_due() > Cents::ZERO {
        return Err(CompleteOrder::REFUND_DUE);
    }
    if !order.is_covered() {
        return Err(CompleteOrder::NOT_COVERED);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order) -> Result<Vec<OrderEvent>, OrderError> {
    if order.completed {
        return Ok(Vec::new());
    }
    guard(order)?;
    Ok(vec![OrderEvent::OrderCompleted(OrderCompleted)])
}

impl OrderCompleted {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.completed = true;
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn after(events: impl IntoIterator<Item = OrderEvent>) -> Given {
        given(delivered_order().into_iter().chain(events))
    }

    #[test]
    fn an_order_of_which_all_has_arrived_is_completed() {
        after([]).when(CompleteOrder).then([OrderEvent::OrderCompleted(OrderCompleted)]);
        assert_eq!(after([]).when(CompleteOrder).order().status(), Status::Completed);
    }

    #[test]
    fn a_complete_order_is_completed_again_and_nothing_happens() {
        let complete = || OrderEvent::OrderCompleted(OrderCompleted);
        after([complete()]).when(CompleteOrder).then_nothing();
        assert_eq!(after([complete()]).order().allows(Action::Complete), Err(CompleteOrder::COMPLETED));
    }

    #[test]
    fn what_is_open_on_either_side_comes_first() {
        let asked_back = || return_requested("x", &[(1, 1)]);
        let captured = captured("c", &[("p", 5000)]);
        let cases = [
            (vec![held()], Obstacle::ON_HOLD),
            (vec![asked_back()], CompleteOrder::RETURN_OPEN),
            (vec![captured, asked_back(), received("x", &[(1, 1)])], CompleteOrder::REFUND_DUE),
            (vec![voided("v", "p", 1)], CompleteOrder::NOT_COVERED),
        ];
        for (events, obstacle) in cases {
            after(events).when(CompleteOrder).then_in_the_way(Action::Complete, obstacle);
        }
    }

    #[test]
    fn an_order_that_has_not_arrived_is_not_complete() {
        let ready = [placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])];
        let shipped = ready.iter().cloned().chain([shipped("t", &[(1, "r", 2), (2, "r", 1)])]).collect();
        for past in [ready.to_vec(), shipped] {
            given(past).when(CompleteOrder).then_in_the_way(Action::Complete, CompleteOrder::NOT_DELIVERED);
        }
    }

    /// Delivered and completed uncaptured; then the authorisation lapses.
    #[test]
    fn an_order_that_was_completed_and_is_not_paid_any_more_has_not_ended_and_may_be_paid() {
        let past = [OrderEvent::OrderCompleted(OrderCompleted), voided("v", "p", 5000)];
        assert!(!after(past.clone()).order().has_ended());
        after(past).when(pay("p-2", None)).then([paid("p-2", 5000)]);
    }
}
