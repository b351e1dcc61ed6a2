//! The order as its events made it: ledgers, and what is derived from them.

pub(crate) mod ledger;
pub(crate) mod status;

use iso_currency::Currency;

use crate::fulfilment::Shipment;
use crate::inventory::Reservation;
use crate::payment::Payment;
use crate::placement::Line;
use crate::values::money::{Adjustment, Cents};
use crate::values::text::{CustomerId, Metadata};
use ledger::PaymentLedger;

/// An order that was placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub(crate) customer_id: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) total: Cents,
    pub(crate) lines: Vec<Line>,
    pub(crate) adjustments: Vec<Adjustment>,
    pub(crate) metadata: Metadata,
    pub(crate) payments: Vec<Payment>,
    pub(crate) reservations: Vec<Reservation>,
    pub(crate) shipments: Vec<Shipment>,
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
}
