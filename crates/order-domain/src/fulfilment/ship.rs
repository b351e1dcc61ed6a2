use std::collections::BTreeMap;

use super::Shipment;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::quantity::{LineNumber, Quantity};
use crate::values::text::{Carrier, ReservationId, Sku, TrackingNumber};

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

/// Units of an order, named by line or by SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRequest {
    /// Which units.
    pub selector: UnitSelector,
    /// How many.
    pub quantity: Quantity,
}

/// How a client names units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitSelector {
    /// Units of one line.
    Line(LineNumber),
    /// Units of whichever lines have this SKU, in line order.
    Sku(Sku),
}

/// See [`OrderEvent::OrderShipped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderShipped {
    /// The parcel.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it, and which reservation each unit was held by: the oldest first.
    pub units: Vec<ShippedUnits>,
}

/// Units of one line and one reservation that are in a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippedUnits {
    /// The line.
    pub line: LineNumber,
    /// The reservation that held them.
    pub reservation_id: ReservationId,
    /// How many.
    pub quantity: u32,
}

impl ShipOrder {
    /// There is nothing to put into it.
    pub const NOTHING_RESERVED: Obstacle = Obstacle("no unit is reserved, so there is nothing to ship");

    /// Payments do not cover what is due.
    pub const NOT_COVERED: Obstacle =
        Obstacle("payments must cover all that is due before units are shipped");
}

/// A unit is held in stock, and the order is covered.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.has_reserved_units() {
        return Err(ShipOrder::NOTHING_RESERVED);
    }
    if !order.is_covered() {
        return Err(ShipOrder::NOT_COVERED);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &ShipOrder) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.shipments().iter().find(|s| s.tracking_number == command.tracking_number) {
        return if is_repetition(order, earlier, command) {
            Ok(Vec::new())
        } else {
            Err(OrderError::IdReused { id: "tracking_number" })
        };
    }
    let requests = command.units.as_deref();
    check_references(order, requests.unwrap_or_default())?;
    guard(order)?;
    let by_line = match requests {
        Some(requests) => assign_to_lines(order, requests)?,
        None => all_reserved(order),
    };
    Ok(vec![OrderEvent::OrderShipped(OrderShipped {
        tracking_number: command.tracking_number.clone(),
        carrier: command.carrier.clone(),
        units: take_from_oldest_reservation(order, by_line),
    })])
}

/// Units by line index.
type UnitsByLine = BTreeMap<usize, u32>;

fn all_reserved(order: &Order) -> UnitsByLine {
    let reserved = order.lines().iter().map(|line| line.ledger.reserved).enumerate();
    reserved.filter(|(_, quantity)| *quantity > 0).collect()
}

/// Requests by line are served first, since only they cannot go elsewhere; a SKU then takes what is left, in line order.
fn assign_to_lines(order: &Order, requests: &[UnitRequest]) -> Result<UnitsByLine, OrderError> {
    let mut taken = UnitsByLine::new();
    for request in requests {
        if let UnitSelector::Line(line) = &request.selector {
            take(order, &mut taken, [line.index()].into_iter(), request.quantity.get())?;
        }
    }
    for request in requests {
        if let UnitSelector::Sku(sku) = &request.selector {
            let lines = order.lines().iter().enumerate().filter(|(_, line)| line.sku == *sku).map(|(i, _)| i);
            take(order, &mut taken, lines, request.quantity.get())?;
        }
    }
    Ok(taken)
}

fn take(
    order: &Order,
    taken: &mut UnitsByLine,
    lines: impl Iterator<Item = usize>,
    requested: u32,
) -> Result<(), OrderError> {
    let mut missing = requested;
    for index in lines {
        let already = taken.get(&index).copied().unwrap_or(0);
        let left = order.lines()[index].ledger.reserved.saturating_sub(already);
        let now = left.min(missing);
        if now > 0 {
            taken.insert(index, already + now);
            missing -= now;
        }
    }
    if missing > 0 {
        let available = u64::from(requested - missing);
        return Err(OrderError::QuantityExceedsAvailable { requested: u64::from(requested), available });
    }
    Ok(())
}

fn take_from_oldest_reservation(order: &Order, mut wanted: UnitsByLine) -> Vec<ShippedUnits> {
    let mut units = Vec::with_capacity(wanted.len());
    for reservation in order.reservations() {
        for &(line, held) in &reservation.held {
            let Some(missing) = wanted.get_mut(&line.index()) else { continue };
            let quantity = held.min(*missing);
            if quantity > 0 {
                *missing -= quantity;
                units.push(ShippedUnits { line, reservation_id: reservation.id.clone(), quantity });
            }
        }
    }
    units
}

fn check_references(order: &Order, requests: &[UnitRequest]) -> Result<(), OrderError> {
    for request in requests {
        let (part, name) = match &request.selector {
            UnitSelector::Line(line) if line.index() >= order.lines().len() => ("line", line.to_string()),
            UnitSelector::Sku(sku) if !order.lines().iter().any(|line| line.sku == *sku) => {
                ("line with SKU", sku.to_string())
            }
            UnitSelector::Line(_) | UnitSelector::Sku(_) => continue,
        };
        return Err(OrderError::UnknownReference { part, name });
    }
    Ok(())
}

/// Units named by SKU are compared per SKU over all lines; units named by line must have left from that line.
fn is_repetition(order: &Order, earlier: &Shipment, command: &ShipOrder) -> bool {
    if earlier.carrier != command.carrier {
        return false;
    }
    let Some(requests) = command.units.as_deref() else { return true };
    if check_references(order, requests).is_err() {
        return false;
    }
    let sku_of = |line: LineNumber| &order.lines()[line.index()].sku;

    let mut shipped_by_sku = BTreeMap::<&Sku, u64>::new();
    let mut left_by_line = BTreeMap::<LineNumber, u64>::new();
    for units in &earlier.units {
        *shipped_by_sku.entry(sku_of(units.line)).or_default() += u64::from(units.quantity);
        *left_by_line.entry(units.line).or_default() += u64::from(units.quantity);
    }
    let mut asked_by_sku = BTreeMap::<&Sku, u64>::new();
    for request in requests {
        let quantity = u64::from(request.quantity.get());
        let sku = match &request.selector {
            UnitSelector::Sku(sku) => sku,
            UnitSelector::Line(line) => {
                match left_by_line.get_mut(line) {
                    Some(left) if *left >= quantity => *left -= quantity,
                    Some(_) | None => return false,
                }
                sku_of(*line)
            }
        };
        *asked_by_sku.entry(sku).or_default() += quantity;
    }
    asked_by_sku == shipped_by_sku
}

impl OrderShipped {
    pub(crate) fn apply(&self, order: &mut Order) {
        for units in &self.units {
            if let Some(line) = order.lines.get_mut(units.line.index()) {
                line.ledger.reserved = line.ledger.reserved.saturating_sub(units.quantity);
                line.ledger.shipped = line.ledger.shipped.saturating_add(units.quantity);
            }
        }
        for reservation in &mut order.reservations {
            reservation.take_shipped(&self.units);
        }
        order.shipments.push(Shipment {
            tracking_number: self.tracking_number.clone(),
            carrier: self.carrier.clone(),
            units: self.units.clone(),
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
    fn what_the_order_does_not_have_is_refused() {
        given(ready())
            .when(ship_units("t", [of_line(3, 1)]))
            .then_refused(OrderError::UnknownReference { part: "line", name: "3".to_owned() });
        given(ready())
            .when(ship_units("t", [of_sku("sku-3", 1)]))
            .then_refused(OrderError::UnknownReference { part: "line with SKU", name: "sku-3".to_owned() });
    }

    #[test]
    fn nothing_reserved_means_nothing_to_ship() {
        let done = ready().into_iter().chain([shipped("t-1", &[(1, "r", 2), (2, "r", 1)])]).collect();
        for past in [vec![placed(), paid("p", 5000)], done] {
            given(past).when(ship("t-2")).then_in_the_way(Action::Ship, ShipOrder::NOTHING_RESERVED);
        }
    }

    /// No command leads here today, but events are what they are.
    #[test]
    fn what_is_reserved_is_not_shipped_before_it_is_covered() {
        given([placed(), reserved("r", &[(1, 2)])])
            .when(ship("t"))
            .then_in_the_way(Action::Ship, ShipOrder::NOT_COVERED);
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
