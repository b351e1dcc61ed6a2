use super::{Shipment, ShipmentState};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::inventory::{ReservationShare, take_from_reservations};
use crate::order::Order;
use crate::order::units::UnitRequest;
use crate::values::text::{Carrier, TrackingNumber};

/// See [`OrderCommand::Ship`](crate::OrderCommand::Ship).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipOrder {
    /// The carrier's name for the parcel.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it; left out: every reserved unit.
    pub units: Option<Vec<UnitRequest>>,
}

/// See [`OrderEvent::OrderShipped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderShipped {
    /// The parcel.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it, by the reservations that held it, the oldest first.
    pub reservations: Vec<ReservationShare>,
}

impl ShipOrder {
    /// There is nothing to put into it.
    pub const NOTHING_RESERVED: Obstacle =
        Obstacle::state("no unit is reserved, so there is nothing to ship");

    /// Payments do not cover what is due.
    pub const NOT_COVERED: Obstacle =
        Obstacle::state("payments must cover all that is due before units are shipped");
}

/// The order is not held back, a unit is held in stock, and the order is covered.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.on_hold() {
        return Err(Obstacle::ON_HOLD);
    }
    if !order.has_reserved_units() {
        return Err(ShipOrder::NOTHING_RESERVED);
    }
    if !order.is_covered() {
        return Err(ShipOrder::NOT_COVERED);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &ShipOrder) -> Result<Vec<OrderEvent>, OrderError> {
    let requests = command.units.as_deref();
    if let Ok(earlier) = order.shipment(&command.tracking_number) {
        let same = earlier.carrier == command.carrier
            && requests.is_none_or(|requests| order.names_same_units(requests, earlier.units()));
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "tracking_number" }) };
    }
    let found = requests.map(|requests| order.find_units(requests)).transpose()?;
    guard(order)?;
    let reserved = |index| order.ledger(index).reserved;
    let units = match found {
        Some(found) => found.assign_to_lines(order, reserved)?,
        None => order.units_by_line(reserved),
    };
    Ok(vec![OrderEvent::OrderShipped(OrderShipped {
        tracking_number: command.tracking_number.clone(),
        carrier: command.carrier.clone(),
        reservations: take_from_reservations(order.reservations().iter(), &units),
    })])
}

impl OrderShipped {
    pub(crate) fn apply(&self, order: &mut Order) {
        for share in &self.reservations {
            order.count(&share.units, |ledger, units| ledger.shipped = ledger.shipped.saturating_add(units));
        }
        order.unreserve(&self.reservations);
        order.shipments.push(Shipment {
            tracking_number: self.tracking_number.clone(),
            carrier: self.carrier.clone(),
            reservations: self.reservations.clone(),
            state: ShipmentState::UnderWay,
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    /// Two `sku-1` and one `sku-2`, paid and reserved.
    fn ready() -> Vec<OrderEvent> {
        vec![placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])]
    }

    /// Lines 1 and 3 have the same SKU: 2 and 3 units of `a`, 1 of `b`.
    fn ready_with_one_sku_on_two_lines() -> Vec<OrderEvent> {
        let placed = placed_by(place_lines([line("a", 2, 1), line("b", 1, 1), line("a", 3, 1)]));
        vec![placed, paid("p", 6), reserved("r", &[(1, 2), (2, 1), (3, 3)])]
    }

    #[test]
    fn units_left_out_are_all_that_is_reserved() {
        given(ready()).when(ship("t")).then([shipped("t", &[(1, "r", 2), (2, "r", 1)])]);
    }

    #[test]
    fn the_rest_goes_in_a_second_parcel() {
        let first = shipped("t-1", &[(1, "r", 1)]);
        given(ready()).when(ship_units("t-1", [of_sku("sku-1", 1)])).then([first.clone()]);
        given(ready().into_iter().chain([first]))
            .when(ship("t-2"))
            .then([shipped("t-2", &[(1, "r", 1), (2, "r", 1)])]);
    }

    #[test]
    fn a_sku_on_two_lines_is_taken_in_line_order() {
        given(ready_with_one_sku_on_two_lines())
            .when(ship_units("t", [of_sku("a", 4)]))
            .then([shipped("t", &[(1, "r", 2), (3, "r", 2)])]);
    }

    #[test]
    fn units_named_by_line_are_not_given_to_a_sku() {
        given(ready_with_one_sku_on_two_lines())
            .when(ship_units("t", [of_sku("a", 3), of_line(1, 2)]))
            .then([shipped("t", &[(1, "r", 2), (3, "r", 3)])]);
    }

    #[test]
    fn more_than_is_reserved_is_refused() {
        given(ready())
            .when(ship_units("t", [of_sku("sku-1", 3)]))
            .then_refused(OrderError::QuantityExceedsAvailable { requested: 3, available: 2 });
        given(ready())
            .when(ship_units("t", [of_line(1, 2), of_sku("sku-1", 1)]))
            .then_refused(OrderError::QuantityExceedsAvailable { requested: 1, available: 0 });
    }

    #[test]
    fn what_is_open_and_not_reserved_is_not_shipped() {
        let past = || [placed(), paid("p", 5000), reserved("r", &[(1, 1)])];
        given(past()).when(ship("t")).then([shipped("t", &[(1, "r", 1)])]);
        given(past())
            .when(ship_units("t", [of_line(1, 2)]))
            .then_refused(OrderError::QuantityExceedsAvailable { requested: 2, available: 1 });
    }

    #[test]
    fn what_the_order_does_not_have_is_refused() {
        given(ready())
            .when(ship_units("t", [of_line(3, 1)]))
            .then_refused(OrderError::UnknownReference { part: "line", name: "3".to_owned() });
        given(ready())
            .when(ship_units("t", [of_sku("sku-3", 1)]))
            .then_refused(OrderError::UnknownReference { part: "line with a SKU", name: "sku-3".to_owned() });
    }

    #[test]
    fn nothing_reserved_means_nothing_to_ship() {
        let done = ready().into_iter().chain([shipped("t-1", &[(1, "r", 2), (2, "r", 1)])]).collect();
        for past in [vec![placed(), paid("p", 5000)], done] {
            given(past).when(ship("t-2")).then_in_the_way(Action::Ship, ShipOrder::NOTHING_RESERVED);
        }
    }

    #[test]
    fn what_is_reserved_is_not_shipped_while_payments_do_not_cover_it() {
        given(ready().into_iter().chain([voided("v", "p", 1)]))
            .when(ship("t"))
            .then_in_the_way(Action::Ship, ShipOrder::NOT_COVERED);
    }

    #[test]
    fn a_held_order_ships_nothing() {
        given(ready().into_iter().chain([held()]))
            .when(ship("t"))
            .then_in_the_way(Action::Ship, Obstacle::ON_HOLD);
    }

    /// 2 ordered and reserved, 1 cancelled: one unit leaves.
    #[test]
    fn what_was_cancelled_does_not_leave() {
        let placed = placed_by(place_lines([line("a", 2, 100)]));
        let past = [placed, paid("p", 200), reserved("r", &[(1, 2)])];
        let cancelled = given(past.clone()).when(cancel_units("c", [of_sku("a", 1)])).events();
        let past = past.into_iter().chain(cancelled);
        let shipped_one = shipped("t", &[(1, "r", 1)]);
        given(past.clone()).when(ship("t")).then([shipped_one.clone()]);
        assert_eq!(given(past.chain([shipped_one])).order().status(), Status::Shipped);
    }

    #[test]
    fn the_same_parcel_again_changes_nothing() {
        let past = || {
            ready_with_one_sku_on_two_lines().into_iter().chain([shipped("t", &[(1, "r", 2), (3, "r", 2)])])
        };
        let retries = [
            ship("t"),
            ship_units("t", [of_sku("a", 4)]),
            ship_units("t", [of_sku("a", 1), of_sku("a", 3)]),
            ship_units("t", [of_line(1, 2), of_line(3, 2)]),
            ship_units("t", [of_line(3, 2), of_sku("a", 2)]),
        ];
        for retry in retries {
            given(past()).when(retry).then_nothing();
        }
    }

    #[test]
    fn the_same_tracking_number_for_another_parcel_is_refused() {
        let past = || {
            ready_with_one_sku_on_two_lines().into_iter().chain([shipped("t", &[(1, "r", 2), (3, "r", 2)])])
        };
        let others = [
            ShipOrder { carrier: Carrier::new("DHL").unwrap(), ..ship("t") },
            ship_units("t", [of_sku("a", 3)]),
            ship_units("t", [of_sku("a", 4), of_sku("b", 1)]),
            ship_units("t", [of_line(1, 1), of_line(3, 3)]),
            ship_units("t", [of_line(1, 2), of_line(1, 2)]),
            ship_units("t", [of_line(9, 4)]),
        ];
        for other in others {
            given(past()).when(other).then_refused(OrderError::IdReused { id: "tracking_number" });
        }
    }

    #[test]
    fn the_oldest_reservation_is_shipped_first() {
        let past =
            [placed(), paid("p", 5000), reserved("r-1", &[(1, 1)]), reserved("r-2", &[(1, 1), (2, 1)])];
        given(past.clone()).when(ship_units("t", [of_line(1, 1)])).then([shipped("t", &[(1, "r-1", 1)])]);
        given(past).when(ship("t")).then([shipped("t", &[(1, "r-1", 1), (1, "r-2", 1), (2, "r-2", 1)])]);
    }
}
