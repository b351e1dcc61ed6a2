use super::Reservation;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::placement::Line;
use crate::values::quantity::LineNumber;
use crate::values::text::ReservationId;
use crate::values::time::Timestamp;

/// See [`OrderCommand::ReserveInventory`](crate::OrderCommand::ReserveInventory).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveInventory {
    /// The client's name for the reservation.
    pub reservation_id: ReservationId,
    /// How long it is to hold, 1 to [`MAX_EXPIRES_IN_SECONDS`](crate::MAX_EXPIRES_IN_SECONDS); left out: for good.
    pub expires_in_seconds: Option<u32>,
}

/// See [`OrderEvent::InventoryReserved`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryReserved {
    /// Which reservation.
    pub reservation_id: ReservationId,
    /// The units it holds, by line, ascending.
    pub units: Vec<ReservedUnits>,
    /// The life that was asked for, in seconds, and when it ends; `None`: for good.
    pub expires: Option<(u32, Timestamp)>,
}

/// Units of one line that a reservation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedUnits {
    /// The line.
    pub line: LineNumber,
    /// How many units of it.
    pub quantity: u32,
}

impl ReserveInventory {
    /// Payments do not cover what is due.
    pub const NOT_COVERED: Obstacle =
        Obstacle("payments must cover all that is due before inventory is reserved");

    /// There is nothing left to hold.
    pub const NOTHING_OPEN: Obstacle = Obstacle("no unit is open that is not reserved already");
}

/// The order is covered, and a unit is open that nothing is held for.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.is_covered() {
        return Err(ReserveInventory::NOT_COVERED);
    }
    if !order.has_unreserved_units() {
        return Err(ReserveInventory::NOTHING_OPEN);
    }
    Ok(())
}

pub(crate) fn decide(
    order: &Order,
    command: &ReserveInventory,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.reservations().iter().find(|earlier| earlier.id == command.reservation_id) {
        let recorded = earlier.expires.map(|(seconds, _)| seconds);
        let same = command.expires_in_seconds.is_none() || command.expires_in_seconds == recorded;
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "reservation_id" }) };
    }
    guard(order)?;
    Ok(vec![OrderEvent::InventoryReserved(InventoryReserved {
        reservation_id: command.reservation_id.clone(),
        units: order.lines().iter().enumerate().filter_map(unreserved_units).collect(),
        expires: command.expires_in_seconds.map(|seconds| (seconds, now.plus_seconds(seconds))),
    })])
}

fn unreserved_units((index, line): (usize, &Line)) -> Option<ReservedUnits> {
    let quantity = line.ledger.unreserved();
    (quantity > 0).then(|| ReservedUnits { line: LineNumber::at(index), quantity })
}

impl InventoryReserved {
    pub(crate) fn apply(&self, order: &mut Order) {
        for units in &self.units {
            if let Some(line) = order.lines.get_mut(units.line.index()) {
                line.ledger.reserved = line.ledger.reserved.saturating_add(units.quantity);
            }
        }
        order.reservations.push(Reservation {
            id: self.reservation_id.clone(),
            expires: self.expires,
            held: self.units.iter().map(|units| (units.line, units.quantity)).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn every_open_unit_is_reserved_once_the_order_is_covered() {
        given([placed(), paid("p", 5000)]).when(reserve("r")).then([reserved("r", &[(1, 2), (2, 1)])]);
    }

    #[test]
    fn an_order_that_is_not_covered_reserves_nothing() {
        for past in [vec![placed()], vec![placed(), paid("p", 4999)]] {
            given(past).when(reserve("r")).then_in_the_way(Action::Reserve, ReserveInventory::NOT_COVERED);
        }
    }

    #[test]
    fn an_order_that_costs_nothing_is_covered_from_the_start() {
        let free = placed_by(place_lines([line("gift", 3, 0)]));
        given([free]).when(reserve("r")).then([reserved("r", &[(1, 3)])]);
    }

    #[test]
    fn a_life_in_seconds_becomes_a_point_in_time() {
        let command = ReserveInventory { expires_in_seconds: Some(60), ..reserve("r") };
        let OrderEvent::InventoryReserved(units) = reserved("r", &[(1, 2), (2, 1)]) else { unreachable!() };
        let expires = Some((60, Timestamp::from_micros(NOW.as_micros() + 60_000_000)));
        given([placed(), paid("p", 5000)])
            .when(command)
            .then([OrderEvent::InventoryReserved(InventoryReserved { expires, ..units })]);
    }

    #[test]
    fn the_same_reservation_again_changes_nothing() {
        let past = [placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])];
        given(past.clone()).when(reserve("r")).then_nothing();
        let shipped = shipped("t", &[(1, "r", 2), (2, "r", 1)]);
        given(past.into_iter().chain([shipped])).when(reserve("r")).then_nothing();
    }

    #[test]
    fn the_same_reservation_id_with_another_life_is_refused() {
        given([placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])])
            .when(ReserveInventory { expires_in_seconds: Some(1), ..reserve("r") })
            .then_refused(OrderError::IdReused { id: "reservation_id" });
    }

    #[test]
    fn what_is_reserved_is_not_reserved_again() {
        given([placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])])
            .when(reserve("r-2"))
            .then_in_the_way(Action::Reserve, ReserveInventory::NOTHING_OPEN);
    }
}
