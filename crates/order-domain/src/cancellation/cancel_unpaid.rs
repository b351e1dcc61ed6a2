use super::CancelUnits;
use super::cancel::cancel;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::cause::Cause;
use crate::values::time::Timestamp;

/// See [`OrderCommand::CancelUnpaidOrder`](crate::OrderCommand::CancelUnpaidOrder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelUnpaidOrder;

impl CancelUnpaidOrder {
    /// The term is not over.
    pub const NOT_DUE: Obstacle = Obstacle::state("the time in which the order is to be paid is not over");
}

/// Cancels what is open, if payments never covered the order and its term is over. Without a term there is nothing to do:
/// it ends for good when the order is first covered.
pub(crate) fn decide(order: &Order, now: Timestamp) -> Result<Vec<OrderEvent>, OrderError> {
    let Some(term) = order.payment_term() else { return Ok(Vec::new()) };
    if now < term.at {
        return Err(CancelUnpaidOrder::NOT_DUE.into());
    }
    let units = order.units_by_line(|index| order.ledger(index).open());
    let everything = CancelUnits { cancellation_id: None, units: None, reason: None };
    Ok(cancel(order, &everything, units, Some(Cause::Unpaid)))
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    /// An order that is to be paid within a minute, placed `ago` seconds ago.
    fn to_be_paid_within_a_minute(ago: u32) -> OrderEvent {
        let OrderEvent::OrderPlaced(placed) = placed() else { unreachable!() };
        let at = Timestamp::from_micros(NOW.as_micros() + 60_000_000 - i64::from(ago) * 1_000_000);
        OrderEvent::OrderPlaced(OrderPlaced { payment_term: Some(Expiry { seconds: 60, at }), ..placed })
    }

    #[test]
    fn an_order_that_is_not_covered_in_time_is_cancelled() {
        given([to_be_paid_within_a_minute(60)]).when(CancelUnpaidOrder).then([cancelled_because_unpaid()]);
        given([to_be_paid_within_a_minute(60), paid("p", 4999)])
            .when(CancelUnpaidOrder)
            .then([cancelled_because_unpaid(), voided_because(Cause::Cancelled, vec![share("p", 4999)])]);
    }

    #[test]
    fn it_is_not_cancelled_before_its_time() {
        given([to_be_paid_within_a_minute(59)])
            .when(CancelUnpaidOrder)
            .then_refused(CancelUnpaidOrder::NOT_DUE.into());
    }

    #[test]
    fn a_payment_that_covers_it_ends_the_term_for_good() {
        let covered = [to_be_paid_within_a_minute(60), paid("p", 5000)];
        given(covered.clone()).when(CancelUnpaidOrder).then_nothing();
        let uncovered_again = covered.into_iter().chain([voided("v", "p", 5000)]);
        given(uncovered_again).when(CancelUnpaidOrder).then_nothing();
    }

    #[test]
    fn it_is_cancelled_once() {
        given([to_be_paid_within_a_minute(60), cancelled_because_unpaid()])
            .when(CancelUnpaidOrder)
            .then_nothing();
    }

    #[test]
    fn an_order_without_a_term_waits() {
        given([placed()]).when(CancelUnpaidOrder).then_nothing();
    }

    #[test]
    fn an_order_that_costs_nothing_is_paid_in_time() {
        let free =
            placed_by(PlaceOrder { pay_within_seconds: Some(60), ..place_lines([line("gift", 1, 0)]) });
        assert_eq!(given([free.clone()]).order().payment_term(), None);
        given([free]).when(CancelUnpaidOrder).then_nothing();
    }
}
