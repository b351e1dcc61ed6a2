use crate::command::ReserveInventory;
use crate::error::{IdKind, OrderError};
use crate::event::{InventoryReserved, OrderEvent, ReservedUnits};
use crate::order::Order;
use crate::quantity::LineNumber;
use crate::time::Timestamp;

pub(super) fn decide(
    order: &Order,
    command: &ReserveInventory,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    if let Some(earlier) = order.reservations().iter().find(|earlier| earlier.id == command.reservation_id) {
        let recorded = earlier.expires.map(|(seconds, _)| seconds);
        let same = command.expires_in_seconds.is_none() || command.expires_in_seconds == recorded;
        return if same { Ok(Vec::new()) } else { Err(OrderError::IdReused { kind: IdKind::Reservation }) };
    }
    if !order.is_covered() {
        let reason = "payments must cover all that is due before inventory is reserved";
        return Err(OrderError::InvalidTransition { reason });
    }
    let units: Vec<_> = order.lines().iter().enumerate().filter_map(unreserved_units).collect();
    if units.is_empty() {
        let reason = "no unit is open that is not reserved already";
        return Err(OrderError::InvalidTransition { reason });
    }
    Ok(vec![OrderEvent::InventoryReserved(InventoryReserved {
        reservation_id: command.reservation_id.clone(),
        units,
        expires: command.expires_in_seconds.map(|seconds| (seconds, now.plus_seconds(seconds))),
    })])
}

fn unreserved_units((index, line): (usize, &crate::order::Line)) -> Option<ReservedUnits> {
    let quantity = line.ledger.unreserved();
    (quantity > 0).then(|| ReservedUnits { line: LineNumber::at(index), quantity })
}
