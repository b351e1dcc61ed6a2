use super::Reservation;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::units::LineUnits;
use crate::values::text::ReservationId;
use crate::values::time::{Expiry, Timestamp};

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
    pub units: Vec<LineUnits>,
    /// When it ends; `None`: not by itself.
    pub expires: Option<Expiry>,
}

impl ReserveInventory {
    /// Payments do not cover what is due.
    pub const NOT_COVERED: Obstacle =
        Obstacle::state("payments must cover all that is due before inventory is reserved");

    /// There is nothing left to hold.
    pub const NOTHING_OPEN: Obstacle = Obstacle::state("no unit is open that is not reserved already");
}

/// The order is not held back, it is covered, and a unit is open that nothing is held for.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if order.on_hold() {
        return Err(Obstacle::ON_HOLD);
    }
    if !order.has_unreserved_units() {
        return Err(ReserveInventory::NOTHING_OPEN);
    }
    if !order.is_covered() {
        return Err(ReserveInventory::NOT_COVERED);
    }
    Ok(())
}

pub(crate) fn decide(
    order: &Order,
    command: &ReserveInventory,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    if let Ok(earlier) = order.reservation(&command.reservation_id) {
        let recorded = earlier.expires.map(|expires| expires.seconds);
        let same = command.expires_in_seconds.is_none() || command.expires_in_seconds == recorded;
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { id: "reservation_id" }) };
    }
    guard(order)?;
    Ok(vec![OrderEvent::InventoryReserved(InventoryReserved {
        reservation_id: command.reservation_id.clone(),
        units: order.units_by_line(|index| order.ledger(index).unreserved()),
        expires: Expiry::from_now(command.expires_in_seconds, now),
    })])
}

impl InventoryReserved {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.count(&self.units, |ledger, units| ledger.reserved = ledger.reserved.saturating_add(units));
        order.reservations.push(Reservation {
            id: self.reservation_id.clone(),
            expires: self.expires,
            held: self.units.clone(),
            released: false,
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
        let at = Timestamp::from_micros(NOW.as_micros() + 60_000_000);
        let expires = Some(Expiry { seconds: 60, at });
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

    #[test]
    fn a_second_reservation_takes_only_what_the_first_left() {
        for (first, left) in [(vec![(1, 1)], vec![(1, 1), (2, 1)]), (vec![(1, 2)], vec![(2, 1)])] {
            given([placed(), paid("p", 5000), reserved("r", &first)])
                .when(reserve("r-2"))
                .then([reserved("r-2", &left)]);
        }
    }

    #[test]
    fn a_held_order_reserves_nothing() {
        given([placed(), paid("p", 5000), held()])
            .when(reserve("r"))
            .then_in_the_way(Action::Reserve, Obstacle::ON_HOLD);
    }

    #[test]
    fn an_id_stays_spent_after_its_reservation_was_released() {
        let past =
            [placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)]), released("r", &[(1, 2), (2, 1)])];
        let order = given(past.clone()).when(reserve("r"));
        order.then_nothing();
        given(past).when(reserve("r-2")).then([reserved("r-2", &[(1, 2), (2, 1)])]);
    }
}
