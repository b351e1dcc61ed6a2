//! The ledgers: what was counted, per line and per payment. The rules of an order are sums over them.

use crate::values::money::Cents;

/// Units of one line, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineLedger {
    /// Asked for at placement.
    pub ordered: u32,
    /// Given up before they were shipped.
    pub cancelled: u32,
    /// Held in stock now, not shipped yet.
    pub reserved: u32,
    /// Handed to a carrier, and not lost.
    pub shipped: u32,
    /// Arrived.
    pub delivered: u32,
    /// To be sent back: a return was asked for that is still open.
    pub returning: u32,
    /// Received back.
    pub returned: u32,
}

impl LineLedger {
    /// Units that are still to be shipped: ordered − cancelled − shipped.
    pub const fn open(&self) -> u32 {
        self.ordered.saturating_sub(self.cancelled).saturating_sub(self.shipped)
    }

    /// Open units that nothing is held for.
    pub const fn unreserved(&self) -> u32 {
        self.open().saturating_sub(self.reserved)
    }

    /// Units that may be asked back: delivered − returned − asked back already.
    pub const fn returnable(&self) -> u32 {
        self.delivered.saturating_sub(self.returned).saturating_sub(self.returning)
    }
}

/// The money of one payment, or of all payments of an order. Every field is a sum since the order began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentLedger {
    /// Promised by the payer.
    pub authorized: Cents,
    /// Promised, and given up uncaptured.
    pub voided: Cents,
    /// Taken.
    pub captured: Cents,
    /// Taken, and given back.
    pub refunded: Cents,
}

impl PaymentLedger {
    /// What may still be captured: authorised − voided − captured.
    pub const fn open_authorization(&self) -> Cents {
        self.authorized.minus_or_zero(self.voided).minus_or_zero(self.captured)
    }

    /// What was taken and not given back: captured − refunded.
    pub const fn net(&self) -> Cents {
        self.captured.minus_or_zero(self.refunded)
    }

    /// What the payer stands for: open authorisations and what was taken and not given back.
    pub const fn covered(&self) -> Cents {
        self.open_authorization().saturating_add(self.net())
    }

    pub(crate) const fn plus(&self, other: &Self) -> Self {
        Self {
            authorized: self.authorized.saturating_add(other.authorized),
            voided: self.voided.saturating_add(other.voided),
            captured: self.captured.saturating_add(other.captured),
            refunded: self.refunded.saturating_add(other.refunded),
        }
    }
}
