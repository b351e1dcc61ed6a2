//! What somebody wants of an order. Every value in a command is valid by itself; whether the order allows it is for
//! [`decide`](crate::decide()) to say.
//!
//! A field that the client left out is `None`: it takes its default when the command is decided, and it matches
//! whatever was recorded when the command is a retry.

use iso_currency::Currency;

use crate::money::{Adjustment, Cents};
use crate::quantity::{LineNumber, Quantity};
use crate::text::{Carrier, CustomerId, Metadata, PaymentId, ReservationId, Sku, TrackingNumber};

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

/// See [`OrderCommand::Place`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceOrder {
    /// Who orders.
    pub customer_id: CustomerId,
    /// 1 to [`MAX_LINES`](crate::MAX_LINES) lines; they are numbered from 1 in this order.
    pub lines: Vec<OrderLine>,
    /// The currency of every amount; left out: `default_currency`.
    pub currency: Option<Currency>,
    /// The shop's currency, for an order that names none.
    pub default_currency: Currency,
    /// What is added to the lines' prices or taken off them.
    pub adjustments: Option<Vec<Adjustment>>,
    /// The client's own notes.
    pub metadata: Option<Metadata>,
}

/// One line as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// What is ordered.
    pub sku: Sku,
    /// How many of it.
    pub quantity: Quantity,
    /// The price of one, 0 or more.
    pub unit_price: Cents,
}

/// See [`OrderCommand::AuthorizePayment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizePayment {
    /// The client's name for the payment.
    pub payment_id: PaymentId,
    /// How much, 0 or more; left out: what is not covered yet.
    pub amount: Option<Cents>,
}

/// See [`OrderCommand::ReserveInventory`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveInventory {
    /// The client's name for the reservation.
    pub reservation_id: ReservationId,
    /// How long it is to hold, 1 to [`MAX_EXPIRES_IN_SECONDS`](crate::MAX_EXPIRES_IN_SECONDS); left out: for good.
    pub expires_in_seconds: Option<u32>,
}

/// See [`OrderCommand::Ship`].
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
