//! What leaves for the customer.

pub(crate) mod ship;

pub use ship::{OrderShipped, ShipOrder, ShippedUnits, UnitRequest, UnitSelector};

use crate::values::text::{Carrier, TrackingNumber};

/// One parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The carrier's name for it.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it.
    pub units: Vec<ShippedUnits>,
}
