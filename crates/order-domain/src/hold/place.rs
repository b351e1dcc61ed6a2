use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::text::Reason;

/// See [`OrderCommand::HoldOrder`](crate::OrderCommand::HoldOrder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldOrder {
    /// Why.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::OrderHeld`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderHeld {
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl HoldOrder {
    /// It is held already.
    pub const HELD: Obstacle = Obstacle::state("the order is on hold already");

    /// The order has ended.
    pub const ENDED: Obstacle =
        Obstacle::state("the order has ended, and there is nothing left to hold back");
}

/// The order has not ended, and is not held.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.on_hold() {
        return Err(HoldOrder::HELD);
    }
    if order.has_ended() {
        return Err(HoldOrder::ENDED);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &HoldOrder) -> Result<Vec<OrderEvent>, OrderError> {
    if order.on_hold() {
        return Ok(Vec::new());
    }
    guard(order)?;
    Ok(vec![OrderEvent::OrderHeld(OrderHeld { reason: command.reason.clone() })])
}

impl OrderHeld {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.on_hold = true;
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn an_order_that_has_not_ended_may_be_held() {
        given([placed()]).when(hold()).then([held()]);
        assert!(given([placed(), held()]).order().on_hold());
        given([placed(), cancelled(&[(1, 2), (2, 1)])])
            .when(hold())
            .then_in_the_way(Action::Hold, HoldOrder::ENDED);
    }

    #[test]
    fn a_held_order_is_held_again_and_nothing_happens() {
        given([placed(), held()]).when(hold()).then_nothing();
        assert_eq!(given([placed(), held()]).order().allows(Action::Hold), Err(HoldOrder::HELD));
    }

    #[test]
    fn money_and_cancellations_go_on_through_a_hold() {
        given([placed(), held()]).when(pay("p", None)).then([paid("p", 5000)]);
        given([placed(), held()]).when(cancel()).then([cancelled(&[(1, 2), (2, 1)])]);
    }
}
