//! What somebody wants of an order. Every value in a command is valid by itself; whether the order allows it is for
//! [`decide`](crate::decide()) to say.
//!
//! A field that the client left out is `None`: it takes its default when the command is decided, and it matches
//! whatever was recorded when the command is a retry.

use crate::fulfilment::ship::ShipOrder;
use crate::inventory::reserve::ReserveInventory;
use crate::payment::authorize::AuthorizePayment;
use crate::placement::place::PlaceOrder;

/// A command to one order. Which order is not part of it: commands are addressed to a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderCommand {
    /// Begins an order.
    Place(PlaceOrder),
    /// Records that a payment was authorised.
    AuthorizePayment(AuthorizePayment),
    /// Holds stock for every open unit that has none held.
    ReserveInventory(ReserveInventory),
    /// Hands reserved units to a carrier, as one parcel.
    Ship(ShipOrder),
}

impl From<PlaceOrder> for OrderCommand {
    fn from(command: PlaceOrder) -> Self {
        Self::Place(command)
    }
}

impl From<AuthorizePayment> for OrderCommand {
    fn from(command: AuthorizePayment) -> Self {
        Self::AuthorizePayment(command)
    }
}

impl From<ReserveInventory> for OrderCommand {
    fn from(command: ReserveInventory) -> Self {
        Self::ReserveInventory(command)
    }
}

impl From<ShipOrder> for OrderCommand {
    fn from(command: ShipOrder) -> Self {
        Self::Ship(command)
    }
}
