use super::{ReturnState, guard_open};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::text::{Reason, ReturnId};

/// See [`OrderCommand::RejectReturn`](crate::OrderCommand::RejectReturn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectReturn {
    /// Which return.
    pub return_id: ReturnId,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::ReturnRejected`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnRejected {
    /// Which return.
    pub return_id: ReturnId,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl RejectReturn {
    /// The units are here.
    pub const RECEIVED: Obstacle = Obstacle::state("the return was received, so it is not rejected any more");
}

/// A return is waited for.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    guard_open(order)
}

pub(crate) fn decide(order: &Order, command: &RejectReturn) -> Result<Vec<OrderEvent>, OrderError> {
    match order.return_by_id(&command.return_id)?.state {
        ReturnState::Rejected => Ok(Vec::new()),
        ReturnState::Received { .. } => Err(RejectReturn::RECEIVED.into()),
        ReturnState::Requested => {
            let (return_id, reason) = (command.return_id.clone(), command.reason.clone());
            Ok(vec![OrderEvent::ReturnRejected(ReturnRejected { return_id, reason })])
        }
    }
}

impl ReturnRejected {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.close_return(&self.return_id, ReturnState::Rejected);
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn asked_back() -> Vec<OrderEvent> {
        delivered_order().into_iter().chain([return_requested("x", &[(1, 2)])]).collect()
    }

    #[test]
    fn a_rejected_return_changes_no_money_and_its_units_may_be_asked_back_anew() {
        given(asked_back()).when(reject("x")).then([rejected("x")]);
        let order = given(asked_back()).when(reject("x")).order();
        assert_eq!((order.due(), order.lines()[0].ledger.returnable()), (cents(5000), 2));
    }

    #[test]
    fn a_return_is_rejected_again_and_nothing_happens() {
        given(asked_back().into_iter().chain([rejected("x")])).when(reject("x")).then_nothing();
    }

    #[test]
    fn what_was_received_or_never_asked_for_is_not_rejected() {
        given(asked_back().into_iter().chain([received("x", &[(1, 2)])]))
            .when(reject("x"))
            .then_refused(RejectReturn::RECEIVED.into());
        given(asked_back()).when(reject("y")).then_refused(OrderError::ReturnNotFound);
        assert!(given(delivered_order()).order().allows(Action::Reject).is_err());
    }
}
