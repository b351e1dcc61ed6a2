//! The order as its events made it: ledgers, and what is derived from them.

use iso_currency::Currency;

use crate::event::{
    InventoryReserved, OrderEvent, OrderPlaced, OrderShipped, PaymentAuthorized, ShippedUnits,
};
use crate::ledger::{LineLedger, PaymentLedger};
use crate::money::{Adjustment, Cents};
use crate::quantity::LineNumber;
use crate::text::{Carrier, CustomerId, Metadata, PaymentId, ReservationId, Sku, TrackingNumber};
use crate::time::Timestamp;

/// Applies one event. It never refuses; events other than `OrderPlaced` leave an order that never began as it is.
pub fn evolve(order: Option<Order>, event: &OrderEvent) -> Option<Order> {
    if let OrderEvent::OrderPlaced(placed) = event {
        return Some(Order::begin(placed));
    }
    let mut order = order?;
    match event {
        OrderEvent::OrderPlaced(_) => {}
        OrderEvent::PaymentAuthorized(e) => order.apply_payment_authorized(e),
        OrderEvent::InventoryReserved(e) => order.apply_inventory_reserved(e),
        OrderEvent::OrderShipped(e) => order.apply_shipped(e),
    }
    Some(order)
}

/// An order that was placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    customer_id: CustomerId,
    currency: Currency,
    total: Cents,
    lines: Vec<Line>,
    adjustments: Vec<Adjustment>,
    metadata: Metadata,
    payments: Vec<Payment>,
    reservations: Vec<Reservation>,
    shipments: Vec<Shipment>,
}

/// One line: what was ordered, and the ledger of its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was ordered.
    pub sku: Sku,
    /// The price of one unit.
    pub unit_price: Cents,
    /// What became of the units.
    pub ledger: LineLedger,
}

/// One payment, in the order of authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The client's name for it.
    pub id: PaymentId,
    /// What became of its money.
    pub ledger: PaymentLedger,
}

/// One reservation, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The client's name for it.
    pub id: ReservationId,
    /// The life that was asked for in seconds, and its end; `None`: for good.
    pub expires: Option<(u32, Timestamp)>,
    /// Units that it holds and has not shipped, by line, ascending.
    pub held: Vec<(LineNumber, u32)>,
}

/// One parcel, in the order of shipping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The carrier's name for it.
    pub tracking_number: TrackingNumber,
    /// Who carries it.
    pub carrier: Carrier,
    /// What is in it.
    pub units: Vec<ShippedUnits>,
}

impl Order {
    /// Who ordered.
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// The currency of every amount.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Lines and adjustments together, as placed.
    pub fn total(&self) -> Cents {
        self.total
    }

    /// The lines; a line's number is its index plus one.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What was added to the lines' prices or taken off them.
    pub fn adjustments(&self) -> &[Adjustment] {
        &self.adjustments
    }

    /// The client's own notes.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Every payment, oldest first.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// Every reservation, oldest first.
    pub fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }

    /// Every parcel, oldest first.
    pub fn shipments(&self) -> &[Shipment] {
        &self.shipments
    }

    /// What the customer owes in all, whatever was paid so far.
    pub fn due(&self) -> Cents {
        self.total
    }

    /// The money of all payments together.
    pub fn money(&self) -> PaymentLedger {
        self.payments.iter().fold(PaymentLedger::default(), |sum, payment| sum.plus(&payment.ledger))
    }

    /// What was taken beyond what is due.
    pub fn refund_due(&self) -> Cents {
        let money = self.money();
        money.captured.minus_or_zero(money.refunded).minus_or_zero(self.due())
    }

    /// What no payment stands for yet.
    pub fn uncovered(&self) -> Cents {
        self.due().minus_or_zero(self.money().covered())
    }

    /// Whether payments stand for all that is due.
    pub fn is_covered(&self) -> bool {
        self.uncovered() == Cents::ZERO
    }

    fn begin(placed: &OrderPlaced) -> Self {
        let line = |line: &crate::command::OrderLine| Line {
            sku: line.sku.clone(),
            unit_price: line.unit_price,
            ledger: LineLedger { ordered: line.quantity.get(), ..LineLedger::default() },
        };
        Self {
            customer_id: placed.customer_id.clone(),
            currency: placed.currency,
            total: placed.total,
            lines: placed.lines.iter().map(line).collect(),
            adjustments: placed.adjustments.clone(),
            metadata: placed.metadata.clone(),
            payments: Vec::new(),
            reservations: Vec::new(),
            shipments: Vec::new(),
        }
    }

    fn apply_payment_authorized(&mut self, event: &PaymentAuthorized) {
        let ledger = PaymentLedger { authorized: event.amount, ..PaymentLedger::default() };
        self.payments.push(Payment { id: event.payment_id.clone(), ledger });
    }

    fn apply_inventory_reserved(&mut self, event: &InventoryReserved) {
        for units in &event.units {
            if let Some(line) = self.lines.get_mut(units.line.index()) {
                line.ledger.reserved = line.ledger.reserved.saturating_add(units.quantity);
            }
        }
        self.reservations.push(Reservation {
            id: event.reservation_id.clone(),
            expires: event.expires,
            held: event.units.iter().map(|units| (units.line, units.quantity)).collect(),
        });
    }

    fn apply_shipped(&mut self, event: &OrderShipped) {
        for units in &event.units {
            if let Some(line) = self.lines.get_mut(units.line.index()) {
                line.ledger.reserved = line.ledger.reserved.saturating_sub(units.quantity);
                line.ledger.shipped = line.ledger.shipped.saturating_add(units.quantity);
            }
        }
        for reservation in &mut self.reservations {
            reservation.take_shipped(&event.units);
        }
        self.shipments.push(Shipment {
            tracking_number: event.tracking_number.clone(),
            carrier: event.carrier.clone(),
            units: event.units.clone(),
        });
    }
}

impl Reservation {
    /// Takes out what left in a parcel. Both lists ascend by line, so one walk over each is enough.
    fn take_shipped(&mut self, shipped: &[ShippedUnits]) {
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
