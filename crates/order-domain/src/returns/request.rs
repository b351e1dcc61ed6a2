use super::{Return, ReturnState};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::units::{LineUnits, UnitRequest};
use crate::values::text::{Reason, ReturnId};

/// See [`OrderCommand::RequestReturn`](crate::OrderCommand::RequestReturn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestReturn {
    /// The client's name for the return.
    pub return_id: ReturnId,
    /// What is to come back.
    pub units: Vec<UnitRequest>,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::ReturnRequested`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnRequested {
    /// Which return.
    pub return_id: ReturnId,
    /// What is to come back, by line, ascending.
    pub units: Vec<LineUnits>,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl RequestReturn {
    /// There is nothing to ask back.
    pub const NOTHING_DELIVERED: Obstacle =
        Obstacle::state("no unit is delivered that has not come back or been asked back already");
}

/// A unit was delivered, and is not on its way back.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.lines().iter().all(|line| line.ledger.returnable() == 0) {
        return Err(RequestReturn::NOTHING_DELIVERED);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &RequestReturn) -> Result<Vec<OrderEvent>, OrderError> {
    if let Ok(earlier) = order.return_by_id(&command.return_id) {
        let same = order.names_same_units(&command.units, earlier.units.iter().copied());
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "return_id" }) };
    }
    let found = order.find_units(&command.units)?;
    guard(order)?;
    let units = found.assign_to_lines(order, |index| order.ledger(index).returnable())?;
    let (return_id, reason) = (command.return_id.clone(), command.reason.clone());
    Ok(vec![OrderEvent::ReturnRequested(ReturnRequested { return_id, units, reason })])
}

impl ReturnRequested {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.count(&self.units, |ledger, units| ledger.returning = ledger.returning.saturating_add(units));
        let (id, units) = (self.return_id.clone(), self.units.clone());
        order.returns.push(Return { id, units, state: ReturnState::Requested });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn what_was_delivered_may_be_asked_back() {
        given(delivered_order())
            .when(ask_back("x", [of_sku("sku-1", 1)]))
            .then([return_requested("x", &[(1, 1)])]);
    }

    #[test]
    fn what_has_arrived_may_be_asked_back_while_the_rest_is_under_way() {
        let past = [
            placed(),
            paid("p", 5000),
            reserved("r", &[(1, 2), (2, 1)]),
            shipped("t-1", &[(1, "r", 2)]),
            shipped("t-2", &[(2, "r", 1)]),
            delivered("t-1"),
        ];
        given(past).when(ask_back("x", [of_line(1, 2)])).then([return_requested("x", &[(1, 2)])]);
    }

    #[test]
    fn what_is_on_its_way_back_is_not_asked_back_again() {
        let past = || delivered_order().into_iter().chain([return_requested("x", &[(1, 1)])]);
        given(past())
            .when(ask_back("x-2", [of_line(1, 2)]))
            .then_refused(OrderError::QuantityExceedsAvailable { requested: 2, available: 1 });
        given(past()).when(ask_back("x-2", [of_line(1, 1)])).then([return_requested("x-2", &[(1, 1)])]);
    }

    #[test]
    fn what_was_not_delivered_is_not_asked_back() {
        let under_way = [placed(), paid("p", 5000), reserved("r", &[(1, 2)]), shipped("t", &[(1, "r", 2)])];
        given(under_way)
            .when(ask_back("x", [of_line(1, 1)]))
            .then_in_the_way(Action::Returns, RequestReturn::NOTHING_DELIVERED);
        given(delivered_order())
            .when(ask_back("x", [of_line(7, 1)]))
            .then_refused(OrderError::UnknownReference { part: "line", name: "7".to_owned() });
    }

    #[test]
    fn what_was_not_sent_back_may_be_asked_back_anew() {
        let closed = [return_requested("x", &[(1, 2)]), received("x", &[(1, 1)])];
        let past = delivered_order().into_iter().chain(closed);
        given(past).when(ask_back("x-2", [of_line(1, 1)])).then([return_requested("x-2", &[(1, 1)])]);
    }

    #[test]
    fn the_same_return_again_changes_nothing_also_when_it_is_closed() {
        let past = || delivered_order().into_iter().chain([return_requested("x", &[(1, 1)])]);
        for retry in [ask_back("x", [of_line(1, 1)]), ask_back("x", [of_sku("sku-1", 1)])] {
            given(past()).when(retry.clone()).then_nothing();
            given(past().chain([rejected("x")])).when(retry).then_nothing();
        }
        given(past())
            .when(ask_back("x", [of_line(2, 1)]))
            .then_refused(OrderError::IdReused { id: "return_id" });
    }
}
