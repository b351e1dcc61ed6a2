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

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[track_caller]
    fn check(events: &[OrderEvent], status: Status) {
        assert_eq!(given(events.to_vec()).order().status(), status);
    }

    #[test]
    fn the_status_follows_the_ledgers_through_an_orders_life() {
        let life = [
            placed(),
            paid("p-1", 4999),
            paid("p-2", 1),
            reserved("r", &[(1, 2), (2, 1)]),
            shipped("t-1", &[(1, "r", 2)]),
            shipped("t-2", &[(2, "r", 1)]),
        ];
        check(&life[..1], Status::Placed);
        check(&life[..2], Status::Placed);
        check(&life[..3], Status::PaymentAuthorized);
        check(&life[..4], Status::InventoryReserved);
        check(&life[..5], Status::PartiallyShipped);
        check(&life, Status::Shipped);
    }

    #[test]
    fn an_order_that_costs_nothing_starts_covered() {
        let free = placed_by(place_lines([line("gift", 1, 0)]));
        check(&[free], Status::PaymentAuthorized);
    }

    #[test]
    fn every_status_has_a_name_of_its_own() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_name("lost"), None);
    }
}
