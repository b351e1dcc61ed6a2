use std::collections::BTreeMap;

use super::Shipment;
use crate::error::{IdKind, Obstacle, OrderError, Reference};
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

/// What stands in a parcel's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShipObstacle {
    /// There is nothing to put into it.
    #[error("no unit is reserved, so there is nothing to ship")]
    NothingReserved,
    /// Not enough money stands for the order.
    #[error("payments must cover all that is due before units are shipped")]
    NotCovered,
}

/// A unit is held in stock, and the order is covered.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.has_reserved_units() {
        return Err(ShipObstacle::NothingReserved.into());
    }
    if !order.is_covered() {
        return Err(ShipObstacle::NotCovered.into());
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &ShipOrder) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.shipments().iter().find(|s| s.tracking_number == command.tracking_number) {
        return if is_repetition(order, earlier, command) {
            Ok(Vec::new())
        } else {
            Err(OrderError::IdReused { kind: IdKind::TrackingNumber })
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
        let missing = match &request.selector {
            UnitSelector::Line(line) if line.index() >= order.lines().len() => Reference::Line(*line),
            UnitSelector::Sku(sku) if !order.lines().iter().any(|line| line.sku == *sku) => {
                Reference::Sku(sku.clone())
            }
            UnitSelector::Line(_) | UnitSelector::Sku(_) => continue,
        };
        return Err(OrderError::UnknownReference(missing));
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
