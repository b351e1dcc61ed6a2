//! What leaves for the customer, and what becomes of it.

pub(crate) mod deliver;
pub(crate) mod lost;
pub(crate) mod ship;

pub use deliver::{DeliverShipment, ShipmentDelivered};
pub use lost::{LoseShipment, ShipmentLost};
pub use ship::{OrderShipped, ShipOrder};

use crate::error::OrderError;
use crate::inventory::ReservationShare;
use crate::order::Order;
use crate::order::units::LineUnits;
use crate::values::text::{Carrier, TrackingNumber};

/// One parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The carrier's name for it.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it, by the reservations that held it.
    pub reservations: Vec<ReservationShare>,
    /// What became of it.
    pub state: ShipmentState,
}

/// What became of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShipmentState {
    /// Handed to the carrier.
    UnderWay,
    /// Arrived.
    Delivered,
    /// It will not arrive.
    Lost,
}

impl Shipment {
    /// What is in it, by line; a line may come more than once.
    pub fn units(&self) -> impl Iterator<Item = LineUnits> {
        self.reservations.iter().flat_map(|share| share.units.iter().copied())
    }
}

impl Order {
    /// The parcel of that tracking number.
    ///
    /// # Errors
    /// [`OrderError::UnknownReference`] if there is none.
    fn shipment(&self, tracking_number: &TrackingNumber) -> Result<&Shipment, OrderError> {
        let found = self.shipments().iter().find(|shipment| shipment.tracking_number == *tracking_number);
        found
            .ok_or_else(|| OrderError::UnknownReference { part: "parcel", name: tracking_number.to_string() })
    }

    /// Whether a parcel is on its way.
    fn has_shipment_under_way(&self) -> bool {
        self.shipments().iter().any(|shipment| shipment.state == ShipmentState::UnderWay)
    }

    /// Notes what became of a parcel, and counts its units.
    fn settle_shipment(
        &mut self,
        tracking_number: &TrackingNumber,
        state: ShipmentState,
        count: impl Fn(&mut crate::LineLedger, u32),
    ) {
        let found = self.shipments.iter_mut().find(|shipment| shipment.tracking_number == *tracking_number);
        if let Some(shipment) = found {
            shipment.state = state;
            let units: Vec<_> = shipment.units().collect();
            self.count(&units, count);
        }
    }
}
