//! The order as its events made it: ledgers, and what is derived from them.

mod audit;
pub(crate) mod bill;
pub(crate) mod ledger;
pub(crate) mod status;
pub(crate) mod timers;
pub(crate) mod units;

use iso_currency::Currency;

use crate::cancellation::Cancellation;
use crate::fulfilment::Shipment;
use crate::inventory::Reservation;
use crate::payment::{Capture, Payment, Refund, Void};
use crate::placement::Line;
use crate::returns::Return;
use crate::values::money::{Adjustment, Cents};
use crate::values::text::{CustomerId, Metadata, PaymentId};
use crate::values::time::Expiry;
use bill::Bill;
use ledger::{LineLedger, PaymentLedger};
use units::LineUnits;

/// An order that was placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub(crate) customer_id: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) bill: Bill,
    pub(crate) lines: Vec<Line>,
    pub(crate) adjustments: Vec<Adjustment>,
    pub(crate) metadata: Metadata,
    pub(crate) payment_term: Option<Expiry>,
    /// What the payment term was at placement; a repetition is held against it.
    pub(crate) pay_within_seconds: Option<u32>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) declined: Vec<PaymentId>,
    pub(crate) voids: Vec<Void>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) reservations: Vec<Reservation>,
    pub(crate) shipments: Vec<Shipment>,
    pub(crate) cancellations: Vec<Cancellation>,
    /// Whether everything that was open has been cancelled at once.
    pub(crate) rest_cancelled: bool,
    pub(crate) returns: Vec<Return>,
    pub(crate) on_hold: bool,
    pub(crate) completed: bool,
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
        self.bill.total
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

    /// Until when payments have to cover the order, or it is cancelled. `None` if that was not asked, and for good once they
    /// have covered it.
    pub fn payment_term(&self) -> Option<Expiry> {
        self.payment_term
    }

    /// Every payment, oldest first.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// Payments that were declined, oldest first. One of the same id may have been authorised later.
    pub fn declined_payments(&self) -> &[PaymentId] {
        &self.declined
    }

    /// Every void that a client asked for, oldest first.
    pub fn voids(&self) -> &[Void] {
        &self.voids
    }

    /// Every capture, oldest first.
    pub fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// Every refund, oldest first.
    pub fn refunds(&self) -> &[Refund] {
        &self.refunds
    }

    /// Every reservation, oldest first.
    pub fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }

    /// Every parcel, oldest first.
    pub fn shipments(&self) -> &[Shipment] {
        &self.shipments
    }

    /// Every cancellation that a client named, oldest first.
    pub fn cancellations(&self) -> &[Cancellation] {
        &self.cancellations
    }

    /// Every return that was asked for, oldest first.
    pub fn returns(&self) -> &[Return] {
        &self.returns
    }

    /// Whether the order is held back.
    pub fn on_hold(&self) -> bool {
        self.on_hold
    }

    /// What the customer owes in all, whatever was paid so far.
    pub fn due(&self) -> Cents {
        self.bill.due()
    }

    /// The money of all payments together.
    pub fn money(&self) -> PaymentLedger {
        self.payments.iter().fold(PaymentLedger::default(), |sum, payment| sum.plus(&payment.ledger))
    }

    /// What was taken beyond what is due.
    pub fn refund_due(&self) -> Cents {
        self.money().net().minus_or_zero(self.due())
    }

    /// What no payment stands for yet.
    pub fn uncovered(&self) -> Cents {
        self.due().minus_or_zero(self.money().covered())
    }

    /// Whether payments stand for all that is due.
    pub fn is_covered(&self) -> bool {
        self.uncovered() == Cents::ZERO
    }

    pub(crate) fn ledger(&self, index: usize) -> &LineLedger {
        &self.lines[index].ledger
    }

    /// Counts units of lines into their ledgers.
    pub(crate) fn count(&mut self, units: &[LineUnits], count: impl Fn(&mut LineLedger, u32)) {
        for units in units {
            if let Some(line) = self.lines.get_mut(units.line.index()) {
                count(&mut line.ledger, units.quantity);
            }
        }
    }
}
