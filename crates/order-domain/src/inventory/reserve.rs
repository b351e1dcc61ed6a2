use super::Reservation;
use crate::error::{IdKind, Obstacle, OrderError};
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

/// What stands in a reservation's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReserveObstacle {
    /// Not enough money stands for the order.
    #[error("payments must cover all that is due before inventory is reserved")]
    NotCovered,
    /// There is nothing left to hold.
    #[error("no unit is open that is not reserved already")]
    NothingOpen,
}

/// The order is covered, and a unit is open that nothing is held for.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.is_covered() {
        return Err(ReserveObstacle::NotCovered.into());
    }
    if !order.has_unreserved_units() {
        return Err(ReserveObstacle::NothingOpen.into());
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
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { kind: IdKind::Reservation }) };
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
