//! What happened to an order. Events are facts: they hold everything that later decisions need, with defaults filled
//! in, and never refer to what may change (prices, stock, the clock).

use iso_currency::Currency;

use crate::command::OrderLine;
use crate::money::{Adjustment, Cents};
use crate::quantity::LineNumber;
use crate::text::{Carrier, CustomerId, Metadata, PaymentId, ReservationId, TrackingNumber};
use crate::time::Timestamp;

/// One fact in an order's stream.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    /// The order began.
    OrderPlaced(OrderPlaced),
    /// A payment was authorised.
    PaymentAuthorized(PaymentAuthorized),
    /// Stock is held for units of the order.
    InventoryReserved(InventoryReserved),
    /// A parcel left.
    OrderShipped(OrderShipped),
}

/// See [`OrderEvent::OrderPlaced`].
#[derive(Debug, Clone, PartialEq)]
pub struct OrderPlaced {
    /// Who ordered.
    pub customer_id: CustomerId,
    /// The currency of every amount of this order.
    pub currency: Currency,
    /// What was ordered; line numbers are indexes plus one.
    pub lines: Vec<OrderLine>,
    /// What was added to the lines' prices or taken off them.
    pub adjustments: Vec<Adjustment>,
    /// The client's own notes.
    pub metadata: Metadata,
    /// Lines and adjustments together; 0 or more.
    pub total: Cents,
}

/// See [`OrderEvent::PaymentAuthorized`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentAuthorized {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How much may be captured of it.
    pub amount: Cents,
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

/// See [`OrderEvent::OrderShipped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderShipped {
    /// The parcel.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it, and which reservation each unit was held by: the oldest first.
    pub units: Vec<ShippedUnits>,
}

/// Units of one line and one reservation that are in a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippedUnits {
    /// The line.
    pub line: LineNumber,
    /// The reservation that held them.
    pub reservation_id: ReservationId,
    /// How many.
    pub quantity: u32,
}
