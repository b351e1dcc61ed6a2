//! What is held in stock for an order.

pub(crate) mod expire;
pub(crate) mod release;
pub(crate) mod reserve;

pub use expire::ExpireReservation;
pub use release::{ReleaseReservation, ReservationReleased};
pub use reserve::{InventoryReserved, ReserveInventory};

use std::collections::BTreeMap;

use crate::error::OrderError;
use crate::order::Order;
use crate::order::units::LineUnits;
use crate::values::quantity::LineNumber;
use crate::values::text::ReservationId;
use crate::values::time::Expiry;

/// One reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The client's name for it.
    pub id: ReservationId,
    /// When it ends by itself; `None`: never.
    pub expires: Option<Expiry>,
    /// Units that it holds and has not shipped, by line, ascending.
    pub held: Vec<LineUnits>,
    /// Whether what it still held was freed: by a release, at its end, or by a cancellation.
    pub released: bool,
}

/// Units that a reservation holds, or held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationShare {
    /// Which reservation.
    pub reservation_id: ReservationId,
    /// The units, by line, ascending.
    pub units: Vec<LineUnits>,
}

impl Reservation {
    /// Takes units out. Both lists ascend by line, so one walk over each is enough.
    fn take(&mut self, units: &[LineUnits]) {
        let mut taken = units.iter().peekable();
        for held in &mut self.held {
            while let Some(units) = taken.next_if(|units| units.line <= held.line) {
                if units.line == held.line {
                    held.quantity = held.quantity.saturating_sub(units.quantity);
                }
            }
        }
        self.held.retain(|held| held.quantity > 0);
    }
}

impl Order {
    /// The reservation of that id.
    ///
    /// # Errors
    /// [`OrderError::UnknownReference`] if there is none.
    pub(crate) fn reservation(&self, id: &ReservationId) -> Result<&Reservation, OrderError> {
        let found = self.reservations().iter().find(|reservation| reservation.id == *id);
        found.ok_or_else(|| OrderError::UnknownReference { part: "reservation", name: id.to_string() })
    }

    /// Takes units of reservations out of what is reserved, and says which reservations hold nothing after that.
    pub(crate) fn unreserve(&mut self, shares: &[ReservationShare]) -> Vec<&mut Reservation> {
        for share in shares {
            self.count(&share.units, |ledger, units| ledger.reserved = ledger.reserved.saturating_sub(units));
        }
        let shares: BTreeMap<_, _> =
            shares.iter().map(|share| (&share.reservation_id, &share.units)).collect();
        let mut emptied = Vec::new();
        for reservation in &mut self.reservations {
            if let Some(units) = shares.get(&reservation.id) {
                reservation.take(units);
                if reservation.held.is_empty() {
                    emptied.push(reservation);
                }
            }
        }
        emptied
    }
}

/// Takes units out of reservations, one after the other: of each line as many as are wanted, which are as many as are held.
pub(crate) fn take_from_reservations<'a>(
    reservations: impl Iterator<Item = &'a Reservation>,
    wanted: &[LineUnits],
) -> Vec<ReservationShare> {
    let mut wanted: BTreeMap<LineNumber, u32> =
        wanted.iter().map(|units| (units.line, units.quantity)).collect();
    let mut shares = Vec::new();
    for reservation in reservations {
        let mut units = Vec::new();
        for held in &reservation.held {
            let Some(missing) = wanted.get_mut(&held.line) else { continue };
            let quantity = held.quantity.min(*missing);
            if quantity > 0 {
                *missing -= quantity;
                units.push(LineUnits { line: held.line, quantity });
            }
        }
        if !units.is_empty() {
            shares.push(ReservationShare { reservation_id: reservation.id.clone(), units });
        }
    }
    shares
}
