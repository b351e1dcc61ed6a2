//! What the ledgers add up to: one word for people.

use super::Order;
use crate::placement::Line;
use crate::values::money::Cents;

/// The summary of an order's ledgers. It is derived, never stored as a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted, not yet covered by payments.
    Placed,
    /// Payments stand for all that is due.
    PaymentAuthorized,
    /// Every open unit is held in stock.
    InventoryReserved,
    /// Some units left, some are still open.
    PartiallyShipped,
    /// Every unit left, and none has arrived.
    Shipped,
    /// Every unit left, and some have arrived.
    PartiallyDelivered,
    /// Every unit has arrived.
    Delivered,
    /// Every unit that was shipped came back.
    Returned,
    /// Somebody closed it when everything had arrived.
    Completed,
    /// Every unit is cancelled.
    Cancelled,
}

impl Status {
    /// Every status, in the order of an order's life.
    pub const ALL: [Self; 10] = [
        Self::Placed,
        Self::PaymentAuthorized,
        Self::InventoryReserved,
        Self::PartiallyShipped,
        Self::Shipped,
        Self::PartiallyDelivered,
        Self::Delivered,
        Self::Returned,
        Self::Completed,
        Self::Cancelled,
    ];

    /// Its name in answers and stored views.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::PaymentAuthorized => "payment_authorized",
            Self::InventoryReserved => "inventory_reserved",
            Self::PartiallyShipped => "partially_shipped",
            Self::Shipped => "shipped",
            Self::PartiallyDelivered => "partially_delivered",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
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
        let units = Units::of(self);
        if units.cancelled == units.ordered {
            Status::Cancelled
        } else if self.completed {
            Status::Completed
        } else if units.open == 0 {
            match units {
                Units { returned, shipped, .. } if returned == shipped => Status::Returned,
                Units { delivered, shipped, .. } if delivered == shipped => Status::Delivered,
                Units { delivered: 0, .. } => Status::Shipped,
                Units { .. } => Status::PartiallyDelivered,
            }
        } else if units.shipped > 0 {
            Status::PartiallyShipped
        } else if units.unreserved == 0 {
            Status::InventoryReserved
        } else if self.is_covered() {
            Status::PaymentAuthorized
        } else {
            Status::Placed
        }
    }

    /// Whether every unit is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.status() == Status::Cancelled
    }

    /// Whether the order is cancelled, completed or returned, and nobody owes anybody anything.
    pub fn has_ended(&self) -> bool {
        let money = self.money();
        matches!(self.status(), Status::Cancelled | Status::Completed | Status::Returned)
            && money.open_authorization() == Cents::ZERO
            && money.net() == self.due()
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

/// The units of all lines, by what became of them.
#[derive(Default)]
struct Units {
    ordered: u64,
    cancelled: u64,
    open: u64,
    unreserved: u64,
    shipped: u64,
    delivered: u64,
    returned: u64,
}

impl Units {
    fn of(order: &Order) -> Self {
        let mut units = Self::default();
        for Line { ledger, .. } in order.lines() {
            units.ordered += u64::from(ledger.ordered);
            units.cancelled += u64::from(ledger.cancelled);
            units.open += u64::from(ledger.open());
            units.unreserved += u64::from(ledger.unreserved());
            units.shipped += u64::from(ledger.shipped);
            units.delivered += u64::from(ledger.delivered);
            units.returned += u64::from(ledger.returned);
        }
        units
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
            delivered("t-1"),
            delivered("t-2"),
            return_requested("x", &[(1, 2), (2, 1)]),
            received("x", &[(1, 2), (2, 1)]),
        ];
        check(&life[..1], Status::Placed);
        check(&life[..2], Status::Placed);
        check(&life[..3], Status::PaymentAuthorized);
        check(&life[..4], Status::InventoryReserved);
        check(&life[..5], Status::PartiallyShipped);
        check(&life[..6], Status::Shipped);
        check(&life[..7], Status::PartiallyDelivered);
        check(&life[..9], Status::Delivered);
        check(&life, Status::Returned);
    }

    #[test]
    fn an_order_ends_cancelled_completed_or_returned_with_all_money_settled() {
        let completed = OrderEvent::OrderCompleted(OrderCompleted);
        let cases = [
            (vec![placed()], false),
            (vec![placed(), cancelled(&[(1, 2), (2, 1)])], true),
            (vec![placed(), paid("p", 1), cancelled(&[(1, 2), (2, 1)])], false),
            (delivered_order(), false),
            (delivered_order().into_iter().chain([completed.clone()]).collect(), false),
            (delivered_order().into_iter().chain([captured("c", &[("p", 5000)]), completed]).collect(), true),
        ];
        for (events, ended) in cases {
            assert_eq!(given(events.clone()).order().has_ended(), ended, "{events:?}");
        }
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
        assert_eq!(Status::from_name("unheard"), None);
    }
}
