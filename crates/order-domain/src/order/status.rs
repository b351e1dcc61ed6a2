//! What the ledgers add up to: one word for people.

use super::Order;

/// The summary of an order's ledgers. It is derived, never stored as a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted, not yet covered by payments.
    Placed,
    /// Payments stand for all that is due.
    PaymentAuthorized,
    /// Every open unit is held in stock.
    InventoryReserved,
    /// Some units left, some are still open.
    PartiallyShipped,
    /// Every unit left.
    Shipped,
}

impl Status {
    /// Every status, in the order of an order's life.
    pub const ALL: [Self; 5] = [
        Self::Placed,
        Self::PaymentAuthorized,
        Self::InventoryReserved,
        Self::PartiallyShipped,
        Self::Shipped,
    ];

    /// Its name in answers and stored views.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::PaymentAuthorized => "payment_authorized",
            Self::InventoryReserved => "inventory_reserved",
            Self::PartiallyShipped => "partially_shipped",
            Self::Shipped => "shipped",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl Order {
    /// The first of these that holds.
    pub fn status(&self) -> Status {
        let (mut open, mut unreserved, mut shipped) = (0_u64, 0_u64, 0_u64);
        for line in self.lines() {
            open += u64::from(line.ledger.open());
            unreserved += u64::from(line.ledger.unreserved());
            shipped += u64::from(line.ledger.shipped);
        }
        if open == 0 {
            Status::Shipped
        } else if shipped > 0 {
            Status::PartiallyShipped
        } else if unreserved == 0 {
            Status::InventoryReserved
        } else if self.is_covered() {
            Status::PaymentAuthorized
        } else {
            Status::Placed
        }
    }

    /// Whether a unit is open that nothing is held for.
    pub fn has_unreserved_units(&self) -> bool {
        self.lines().iter().any(|line| line.ledger.unreserved() > 0)
    }

    /// Whether a unit is held and not shipped.
    pub fn has_reserved_units(&self) -> bool {
        self.lines().iter().any(|line| line.ledger.reserved > 0)
    }
}
