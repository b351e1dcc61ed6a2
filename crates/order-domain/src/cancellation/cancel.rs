use super::Cancellation;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::inventory::{ReservationReleased, take_from_reservations};
use crate::order::Order;
use crate::order::units::{LineUnits, UnitRequest};
use crate::payment::void::void_beyond;
use crate::values::cause::Cause;
use crate::values::text::{CancellationId, Reason};

/// See [`OrderCommand::CancelUnits`](crate::OrderCommand::CancelUnits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelUnits {
    /// The client's name for the cancellation; there is one where units are named.
    pub cancellation_id: Option<CancellationId>,
    /// What is cancelled; left out: every open unit.
    pub units: Option<Vec<UnitRequest>>,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::LinesCancelled`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinesCancelled {
    /// The client's name for the cancellation, if it has one.
    pub cancellation_id: Option<CancellationId>,
    /// What is cancelled, by line, ascending.
    pub units: Vec<LineUnits>,
    /// Whether no units were named: everything that was open went.
    pub all_open: bool,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::OrderCancelled`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderCancelled {
    /// The client's name for the cancellation, if it has one.
    pub cancellation_id: Option<CancellationId>,
    /// What is cancelled with it, by line, ascending: all units that were still open.
    pub units: Vec<LineUnits>,
    /// Why the service did it, if no client asked for it.
    pub cause: Option<Cause>,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl CancelUnits {
    /// Everything has been shipped.
    pub const ALREADY_SHIPPED: Obstacle =
        Obstacle::already_shipped("no unit is open, and what was shipped can only be returned");

    /// Everything has been cancelled.
    pub const CANCELLED: Obstacle = Obstacle::state("every unit is cancelled already");
}

/// A unit is open.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.lines().iter().all(|line| line.ledger.open() == 0) {
        let shipped = order.lines().iter().any(|line| line.ledger.shipped > 0);
        return Err(if shipped { CancelUnits::ALREADY_SHIPPED } else { CancelUnits::CANCELLED });
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &CancelUnits) -> Result<Vec<OrderEvent>, OrderError> {
    let requests = command.units.as_deref();
    if let Some(earlier) = earlier(order, command) {
        let same =
            requests.is_none_or(|requests| order.names_same_units(requests, earlier.units.iter().copied()));
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "cancellation_id" }) };
    }
    let found = requests.map(|requests| order.find_units(requests)).transpose()?;
    let open = |index: usize| order.ledger(index).open();
    let units = match found {
        Some(found) => {
            guard(order)?;
            found.assign_to_lines(order, open)?
        }
        None if is_done(order) => return Ok(Vec::new()),
        None => {
            guard(order)?;
            order.units_by_line(open)
        }
    };
    Ok(cancel(order, command, units, None))
}

fn earlier<'a>(order: &'a Order, command: &CancelUnits) -> Option<&'a Cancellation> {
    let id = command.cancellation_id.as_ref()?;
    order.cancellations.iter().find(|earlier| earlier.id == *id)
}

/// Whether an earlier cancellation took all that was open, so that there is nothing left to take.
fn is_done(order: &Order) -> bool {
    guard(order).is_err() && (order.is_cancelled() || order.rest_cancelled)
}

/// The events of a cancellation: what it frees, what it cancels, what is no longer needed of authorisations.
pub(super) fn cancel(
    order: &Order,
    command: &CancelUnits,
    units: Vec<LineUnits>,
    cause: Option<Cause>,
) -> Vec<OrderEvent> {
    let mut bill = order.bill;
    bill.lose(order.price_of(&units));
    let freed = freed(order, &units).map(OrderEvent::ReservationReleased);
    let (cancellation_id, reason) = (command.cancellation_id.clone(), command.reason.clone());
    let cancelled = if is_the_last(order, &units) {
        bill.cancel();
        OrderEvent::OrderCancelled(OrderCancelled { cancellation_id, units, cause, reason })
    } else {
        let all_open = command.units.is_none();
        OrderEvent::LinesCancelled(LinesCancelled { cancellation_id, units, all_open, reason })
    };
    let voided = void_beyond(order, &bill, Cause::Cancelled);
    freed.into_iter().chain([cancelled]).chain(voided).collect()
}

/// Units that nothing is held for go first, then those of the latest reservation.
fn freed(order: &Order, units: &[LineUnits]) -> Option<ReservationReleased> {
    let reserved = units.iter().map(|&LineUnits { line, quantity }| {
        let unreserved = order.ledger(line.index()).unreserved();
        LineUnits { line, quantity: quantity.saturating_sub(unreserved) }
    });
    let reserved: Vec<_> = reserved.filter(|units| units.quantity > 0).collect();
    if reserved.is_empty() {
        return None;
    }
    let reservations = take_from_reservations(order.reservations().iter().rev(), &reserved);
    Some(ReservationReleased { reservations, cause: Some(Cause::Cancelled), reason: None })
}

/// Whether no unit is shipped and none stays open.
fn is_the_last(order: &Order, units: &[LineUnits]) -> bool {
    let open: u64 = order.lines().iter().map(|line| u64::from(line.ledger.open())).sum();
    let cancelled: u64 = units.iter().map(|units| u64::from(units.quantity)).sum();
    open == cancelled && order.lines().iter().all(|line| line.ledger.shipped == 0)
}

impl LinesCancelled {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.rest_cancelled |= self.all_open;
        take_off(order, self.cancellation_id.as_ref(), &self.units);
    }
}

impl OrderCancelled {
    pub(crate) fn apply(&self, order: &mut Order) {
        take_off(order, self.cancellation_id.as_ref(), &self.units);
        order.bill.cancel();
    }
}

fn take_off(order: &mut Order, id: Option<&CancellationId>, units: &[LineUnits]) {
    order.count(units, |ledger, units| ledger.cancelled = ledger.cancelled.saturating_add(units));
    let price = order.price_of(units);
    order.bill.lose(price);
    if let Some(id) = id {
        order.cancellations.push(Cancellation { id: id.clone(), units: units.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn lines_cancelled(id: Option<&str>, units: &[(u64, u32)], all_open: bool) -> OrderEvent {
        OrderEvent::LinesCancelled(LinesCancelled {
            cancellation_id: id.map(|id| CancellationId::new(id).unwrap()),
            units: line_units(units),
            all_open,
            reason: None,
        })
    }

    /// Ten units, all reserved, three of them shipped.
    fn three_of_ten_shipped() -> Vec<OrderEvent> {
        let placed = placed_by(place_lines([line("a", 10, 100)]));
        vec![placed, paid("p", 1000), reserved("r", &[(1, 10)]), shipped("t", &[(1, "r", 3)])]
    }

    #[test]
    fn an_order_of_which_nothing_was_shipped_is_cancelled_as_a_whole() {
        given([placed()]).when(cancel()).then([cancelled(&[(1, 2), (2, 1)])]);
        let order = given([placed()]).when(cancel()).order();
        assert_eq!((order.status(), order.due()), (Status::Cancelled, Cents::ZERO));
    }

    #[test]
    fn what_it_frees_and_what_is_no_longer_due_go_with_it() {
        given([placed(), paid("p-1", 2000), paid("p-2", 3000), reserved("r", &[(1, 2), (2, 1)])])
            .when(cancel_units("c", [of_line(1, 1)]))
            .then([
                released_because(Cause::Cancelled, "r", &[(1, 1)]),
                lines_cancelled(Some("c"), &[(1, 1)], false),
                voided_because(Cause::Cancelled, vec![share("p-2", 1500)]),
            ]);
    }

    #[test]
    fn units_that_nothing_is_held_for_go_first_then_those_of_the_latest_reservation() {
        let placed = placed_by(place_lines([line("a", 6, 100)]));
        let past = [placed, paid("p", 600), reserved("r-1", &[(1, 2)]), reserved("r-2", &[(1, 2)])];
        let freed_by = |n| given(past.clone()).when(cancel_units("c", [of_line(1, n)])).events().remove(0);
        assert_eq!(freed_by(2), lines_cancelled(Some("c"), &[(1, 2)], false));
        assert_eq!(freed_by(3), released_because(Cause::Cancelled, "r-2", &[(1, 1)]));
        let OrderEvent::ReservationReleased(freed) = freed_by(5) else { panic!("nothing was freed") };
        assert_eq!(freed.reservations, vec![held_by("r-2", &[(1, 2)]), held_by("r-1", &[(1, 1)])]);
    }

    #[test]
    fn what_was_captured_beyond_what_is_due_is_owed_back() {
        let past = [placed(), paid("p", 5000), captured("c", &[("p", 5000)])];
        let order = given(past).when(cancel_units("x", [of_sku("sku-2", 1)])).order();
        assert_eq!((order.due(), order.refund_due()), (cents(3000), cents(2000)));
    }

    /// 400 captured, 600 open, what is due falls to 500.
    #[test]
    fn of_open_authorisations_stays_what_is_due_and_not_taken() {
        let placed = placed_by(place_lines([line("a", 2, 500)]));
        let past = [placed, paid("p", 1000), captured("c", &[("p", 400)])];
        given(past).when(cancel_units("x", [of_line(1, 1)])).then([
            lines_cancelled(Some("x"), &[(1, 1)], false),
            voided_because(Cause::Cancelled, vec![share("p", 500)]),
        ]);
    }

    /// The latest payment is mostly captured: what is open of it goes first, and then the one before.
    #[test]
    fn what_is_voided_of_a_payment_is_at_most_what_is_open_of_it() {
        let past = [placed(), paid("p-1", 2000), paid("p-2", 3000), captured("c", &[("p-2", 2500)])];
        given(past).when(cancel_units("x", [of_line(1, 1)])).then([
            lines_cancelled(Some("x"), &[(1, 1)], false),
            voided_because(Cause::Cancelled, vec![share("p-2", 500), share("p-1", 1000)]),
        ]);
    }

    #[test]
    fn the_rest_of_a_partly_shipped_order_is_cancelled_once() {
        let rest = vec![
            released_because(Cause::Cancelled, "r", &[(1, 7)]),
            lines_cancelled(None, &[(1, 7)], true),
            voided_because(Cause::Cancelled, vec![share("p", 700)]),
        ];
        given(three_of_ten_shipped()).when(cancel()).then(rest.clone());
        let past = || three_of_ten_shipped().into_iter().chain(rest.clone());
        given(past()).when(cancel()).then_nothing();
        let ledger = given(past()).order().lines()[0].ledger;
        assert_eq!((ledger.cancelled, ledger.reserved, ledger.shipped), (7, 0, 3));
        given(past())
            .when(ship_units("t-2", [of_line(1, 1)]))
            .then_in_the_way(Action::Ship, ShipOrder::NOTHING_RESERVED);
    }

    /// A parcel is lost after the rest was cancelled: its units are sent once more, and are not cancelled then.
    #[test]
    fn units_that_a_loss_opened_again_are_not_the_rest_that_was_cancelled() {
        let rest = given(three_of_ten_shipped()).when(cancel()).events();
        let again = [lost("t"), reserved("r-2", &[(1, 3)]), shipped("t-2", &[(1, "r-2", 3)])];
        let past = three_of_ten_shipped().into_iter().chain(rest).chain(again);
        given(past).when(cancel()).then_in_the_way(Action::Cancel, CancelUnits::ALREADY_SHIPPED);
    }

    #[test]
    fn what_was_shipped_is_not_cancelled() {
        let all = three_of_ten_shipped().into_iter().chain([shipped("t-2", &[(1, "r", 7)])]);
        given(all.clone()).when(cancel()).then_in_the_way(Action::Cancel, CancelUnits::ALREADY_SHIPPED);
        given(all)
            .when(cancel_units("c", [of_line(1, 1)]))
            .then_in_the_way(Action::Cancel, CancelUnits::ALREADY_SHIPPED);
        given(three_of_ten_shipped())
            .when(cancel_units("c", [of_line(1, 8)]))
            .then_refused(OrderError::QuantityExceedsAvailable { requested: 8, available: 7 });
    }

    #[test]
    fn an_order_of_which_one_line_was_shipped_and_the_other_given_up_has_nothing_left_to_cancel() {
        let given_up = lines_cancelled(Some("c"), &[(2, 1)], false);
        let past =
            [placed(), paid("p", 5000), given_up, reserved("r", &[(1, 2)]), shipped("t", &[(1, "r", 2)])];
        given(past).when(cancel()).then_in_the_way(Action::Cancel, CancelUnits::ALREADY_SHIPPED);
    }

    #[test]
    fn units_that_are_cancelled_one_after_the_other_cancel_the_order_in_the_end() {
        let first = lines_cancelled(Some("c-1"), &[(1, 2)], false);
        given([placed(), first]).when(cancel_units("c-2", [of_line(2, 1)])).then([
            OrderEvent::OrderCancelled(OrderCancelled {
                cancellation_id: Some(CancellationId::new("c-2").unwrap()),
                units: line_units(&[(2, 1)]),
                cause: None,
                reason: None,
            }),
        ]);
    }

    #[test]
    fn a_cancelled_order_is_cancelled_again_and_nothing_happens() {
        let past = [placed(), cancelled(&[(1, 2), (2, 1)])];
        given(past.clone()).when(cancel()).then_nothing();
        given(past)
            .when(cancel_units("c", [of_line(1, 1)]))
            .then_in_the_way(Action::Cancel, CancelUnits::CANCELLED);
    }

    #[test]
    fn the_same_cancellation_again_changes_nothing() {
        let past = || [placed(), lines_cancelled(Some("c"), &[(1, 1)], false)];
        let by_id_alone = CancelUnits { units: None, ..cancel_units("c", []) };
        for retry in
            [cancel_units("c", [of_line(1, 1)]), cancel_units("c", [of_sku("sku-1", 1)]), by_id_alone]
        {
            given(past()).when(retry).then_nothing();
        }
        for other in [cancel_units("c", [of_line(1, 2)]), cancel_units("c", [of_line(2, 1)])] {
            given(past()).when(other).then_refused(OrderError::IdReused { id: "cancellation_id" });
        }
        given(past())
            .when(cancel_units("c-2", [of_line(3, 1)]))
            .then_refused(OrderError::UnknownReference { part: "line", name: "3".to_owned() });
    }

    #[test]
    fn an_order_with_250_payments_can_still_be_cancelled() {
        let placed = placed_by(place_lines([line("a", 1, 5000)]));
        let payments = (0..250).map(|n| paid(&format!("p-{n}"), 1));
        let past: Vec<_> = [placed].into_iter().chain(payments).collect();
        given(past.clone()).when(pay("p", Some(1))).then_in_the_way(Action::Payment, AuthorizePayment::FULL);
        assert_eq!(given(past).when(cancel()).order().status(), Status::Cancelled);
    }
}
