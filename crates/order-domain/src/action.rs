//! What can be asked of an order that exists: one table of names and guards.

use crate::error::Obstacle;
use crate::fulfilment::ship;
use crate::inventory::reserve;
use crate::order::Order;
use crate::payment::authorize;

/// What can be asked of an order that exists, by the name of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Authorise a payment.
    Payment,
    /// Reserve inventory.
    Reserve,
    /// Ship reserved units.
    Ship,
}

/// What is known of an action.
struct Entry {
    name: &'static str,
    guard: fn(&Order) -> Result<(), Obstacle>,
}

impl Action {
    /// Every action, in the order of an order's life.
    pub const ALL: [Self; 3] = [Self::Payment, Self::Reserve, Self::Ship];

    const fn entry(self) -> Entry {
        match self {
            Self::Payment => Entry { name: "payment", guard: authorize::guard },
            Self::Reserve => Entry { name: "reserve", guard: reserve::guard },
            Self::Ship => Entry { name: "ship", guard: ship::guard },
        }
    }

    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        self.entry().name
    }
}

impl Order {
    /// Whether an action may be done next, with every field left out that may be.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn allows(&self, action: Action) -> Result<(), Obstacle> {
        (action.entry().guard)(self)
    }

    /// What may be done next.
    pub fn allowed_actions(&self) -> Vec<Action> {
        Action::ALL.into_iter().filter(|action| self.allows(*action).is_ok()).collect()
    }
}
