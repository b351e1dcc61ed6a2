use super::{ReturnState, count_returned, guard_open};
use crate::command::matches_recorded;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::units::{LineUnits, UnitRequest};
use crate::payment::void::void_beyond;
use crate::values::cause::Cause;
use crate::values::text::ReturnId;

/// See [`OrderCommand::ReceiveReturn`](crate::OrderCommand::ReceiveReturn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveReturn {
    /// Which return.
    pub return_id: ReturnId,
    /// What arrived; left out: all that was asked back.
    pub units: Option<Vec<UnitRequest>>,
    /// Whether it goes back into stock; left out: it does.
    pub restock: Option<bool>,
}

/// See [`OrderEvent::ReturnReceived`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnReceived {
    /// Which return.
    pub return_id: ReturnId,
    /// What arrived, by line, ascending.
    pub units: Vec<LineUnits>,
    /// Whether it goes back into stock.
    pub restock: bool,
}

impl ReceiveReturn {
    /// The return was rejected.
    pub const REJECTED: Obstacle =
        Obstacle::state("the return was rejected, so nothing is taken back with it");
}

/// A return is waited for.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    guard_open(order)
}

pub(crate) fn decide(order: &Order, command: &ReceiveReturn) -> Result<Vec<OrderEvent>, OrderError> {
    let known = order.return_by_id(&command.return_id)?;
    let requests = command.units.as_deref();
    match &known.state {
        ReturnState::Received { units, restock } => {
            let same = matches_recorded(command.restock.as_ref(), restock)
                && requests.is_none_or(|requests| order.names_same_units(requests, units.iter().copied()));
            return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "return_id" }) };
        }
        ReturnState::Rejected => return Err(ReceiveReturn::REJECTED.into()),
        ReturnState::Requested => {}
    }
    let units = match requests {
        Some(requests) => {
            let found = order.find_units(requests)?;
            found.assign_to_lines(order, |index| asked_back(&known.units, index))?
        }
        None => known.units.clone(),
    };
    let mut bill = order.bill;
    bill.lose(order.price_of(&units));
    let received = OrderEvent::ReturnReceived(ReturnReceived {
        return_id: command.return_id.clone(),
        units,
        restock: command.restock.unwrap_or(true),
    });
    Ok([received].into_iter().chain(void_beyond(order, &bill, Cause::Returned)).collect())
}

fn asked_back(units: &[LineUnits], index: usize) -> u32 {
    let found = units.binary_search_by_key(&index, |units| units.line.index());
    found.map_or(0, |found| units[found].quantity)
}

impl ReturnReceived {
    pub(crate) fn apply(&self, order: &mut Order) {
        let (units, restock) = (self.units.clone(), self.restock);
        order.close_return(&self.return_id, ReturnState::Received { units, restock });
        order.count(&self.units, count_returned);
        let price = order.price_of(&self.units);
        order.bill.lose(price);
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
    fn units_left_out_are_all_that_was_asked_back() {
        given(asked_back())
            .when(receive("x", None))
            .then([received("x", &[(1, 2)]), voided_because(Cause::Returned, vec![share("p", 3000)])]);
    }

    #[test]
    fn whether_it_goes_back_into_stock_is_recorded() {
        for (given_restock, recorded) in [(None, true), (Some(true), true), (Some(false), false)] {
            let command = ReceiveReturn { restock: given_restock, ..receive("x", None) };
            let order = given(asked_back()).when(command).order();
            let state = ReturnState::Received { units: line_units(&[(1, 2)]), restock: recorded };
            assert_eq!(order.returns()[0].state, state);
        }
    }

    #[test]
    fn what_arrives_closes_the_return_also_if_something_is_missing() {
        let one = Some(vec![of_sku("sku-1", 1)]);
        let order = given(asked_back()).when(receive("x", one)).order();
        assert_eq!((order.lines()[0].ledger.returned, order.lines()[0].ledger.returning), (1, 0));
        assert_eq!(order.due(), cents(3500));
    }

    #[test]
    fn what_was_captured_for_it_is_owed_back() {
        let captured = captured("c", &[("p", 5000)]);
        let order = given(asked_back().into_iter().chain([captured])).when(receive("x", None)).order();
        assert_eq!((order.due(), order.refund_due()), (cents(2000), cents(3000)));
        assert_eq!(order.status(), Status::Delivered);
    }

    #[test]
    fn an_order_of_which_everything_came_back_is_returned() {
        let past = delivered_order().into_iter().chain([return_requested("x", &[(1, 2), (2, 1)])]);
        assert_eq!(given(past).when(receive("x", None)).order().status(), Status::Returned);
    }

    #[test]
    fn more_than_was_asked_back_is_refused() {
        for (units, requested, available) in [(of_line(1, 3), 3, 2), (of_line(2, 1), 1, 0)] {
            given(asked_back())
                .when(receive("x", Some(vec![units])))
                .then_refused(OrderError::QuantityExceedsAvailable { requested, available });
        }
    }

    #[test]
    fn what_the_order_does_not_have_does_not_come_back() {
        for (units, part, name) in
            [(of_line(3, 1), "line", "3"), (of_sku("sku-3", 1), "line with a SKU", "sku-3")]
        {
            given(asked_back())
                .when(receive("x", Some(vec![units])))
                .then_refused(OrderError::UnknownReference { part, name: name.to_owned() });
        }
    }

    #[test]
    fn a_return_that_nobody_asked_for_is_not_there() {
        given(asked_back()).when(receive("y", None)).then_refused(OrderError::ReturnNotFound);
        assert!(given(delivered_order()).order().allows(Action::Receive).is_err());
    }

    #[test]
    fn a_rejected_return_is_not_received() {
        given(asked_back().into_iter().chain([rejected("x")]))
            .when(receive("x", None))
            .then_refused(ReceiveReturn::REJECTED.into());
    }

    #[test]
    fn the_same_return_is_received_again_and_nothing_happens() {
        let past = || asked_back().into_iter().chain([received("x", &[(1, 1)])]);
        let restocked = ReceiveReturn { restock: Some(true), ..receive("x", None) };
        for retry in [receive("x", None), receive("x", Some(vec![of_line(1, 1)])), restocked] {
            given(past()).when(retry).then_nothing();
        }
        let not_restocked = ReceiveReturn { restock: Some(false), ..receive("x", None) };
        for other in [receive("x", Some(vec![of_line(1, 2)])), not_restocked] {
            given(past()).when(other).then_refused(OrderError::IdReused { id: "return_id" });
        }
    }
}
