//! What is held in stock for an order.

pub(crate) mod reserve;

pub use reserve::{InventoryReserved, ReserveInventory, ReservedUnits};

use crate::fulfilment::ship::ShippedUnits;
use crate::values::quantity::LineNumber;
use crate::values::text::ReservationId;
use crate::values::time::Timestamp;

/// One reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The client's name for it.
    pub id: ReservationId,
    /// The life that was asked for in seconds, and its end; `None`: for good.
    pub expires: Option<(u32, Timestamp)>,
    /// Units that it holds and has not shipped, by line, ascending.
    pub held: Vec<(LineNumber, u32)>,
}

impl Reservation {
    /// Takes out what left in a parcel. Both lists ascend by line, so one walk over each is enough.
    pub(crate) fn take_shipped(&mut self, shipped: &[ShippedUnits]) {
        let mut own = shipped.iter().filter(|units| units.reservation_id == self.id).peekable();
        for (line, held) in &mut self.held {
            while let Some(units) = own.next_if(|units| units.line <= *line) {
                if units.line == *line {
                    *held = held.saturating_sub(units.quantity);
                }
            }
        }
        self.held.retain(|(_, held)| *held > 0);
    }
}
