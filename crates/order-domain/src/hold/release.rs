use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::text::Reason;

/// See [`OrderCommand::ReleaseHold`](crate::OrderCommand::ReleaseHold).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseHold {
    /// Why.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::HoldReleased`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldReleased {
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl ReleaseHold {
    /// It is not held.
    pub const NOT_HELD: Obstacle = Obstacle::state("the order is not on hold");
}

/// The order is held.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.on_hold() { Ok(()) } else { Err(ReleaseHold::NOT_HELD) }
}

/// To release what is not held asks for what already is.
pub(crate) fn decide(order: &Order, command: &ReleaseHold) -> Result<Vec<OrderEvent>, OrderError> {
    if !order.on_hold() {
        return Ok(Vec::new());
    }
    Ok(vec![OrderEvent::HoldReleased(HoldReleased { reason: command.reason.clone() })])
}

impl HoldReleased {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.on_hold = false;
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn a_held_order_goes_on() {
        given([placed(), held()]).when(unhold()).then([unheld()]);
        assert!(!given([placed(), held(), unheld()]).order().on_hold());
    }

    #[test]
    fn an_order_that_is_not_held_is_not_held_again_and_nothing_happens() {
        for past in [vec![placed()], vec![placed(), held(), unheld()]] {
            given(past.clone()).when(unhold()).then_nothing();
            assert_eq!(given(past).order().allows(Action::Unhold), Err(ReleaseHold::NOT_HELD));
        }
    }
}
