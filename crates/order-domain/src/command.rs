//! Every command: what somebody wants of an order, how it is decided, and whether it may be asked now.
//!
//! Every value in a command is valid by itself; whether the order allows it is for [`decide()`] to say. A field that the
//! client left out is `None`: it takes its default when the command is decided, and it matches whatever was recorded when
//! the command is a retry.

use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::fulfilment::ship::{self, ShipOrder};
use crate::inventory::reserve::{self, ReserveInventory};
use crate::order::Order;
use crate::payment::authorize::{self, AuthorizePayment};
use crate::placement::place::{self, PlaceOrder};
use crate::values::time::Timestamp;

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

/// What a command does to an order: the events to append, none when what it asks for was done already.
///
/// `order` is the fold of all its events so far, `None` before the first. The same input always gives the same answer.
/// Every command first asks whether it is a repetition: the same client-given id with the same content is accepted
/// and changes nothing, whatever happened to the order in between.
///
/// # Errors
/// An [`OrderError`] when the order's state or history forbids it.
pub fn decide(
    order: Option<&Order>,
    command: &OrderCommand,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    match command {
        OrderCommand::Place(command) => place::decide(order, command),
        OrderCommand::AuthorizePayment(command) => authorize::decide(existing(order)?, command),
        OrderCommand::ReserveInventory(command) => reserve::decide(existing(order)?, command, now),
        OrderCommand::Ship(command) => ship::decide(existing(order)?, command),
    }
}

fn existing(order: Option<&Order>) -> Result<&Order, OrderError> {
    order.ok_or(OrderError::NotFound)
}

/// Whether a field of a repeated command agrees with what was recorded: left out, it does.
pub(crate) fn matches_recorded<T: PartialEq>(given: Option<&T>, recorded: &T) -> bool {
    given.is_none_or(|given| given == recorded)
}

/// Each line is an action: its name, which is the last segment of its route, and its guard.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident $name:literal $guard:path;)+) => {
        /// What can be asked of an order that exists, by the name of its route.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[doc = $doc])+ $action,)+
        }

        impl Action {
            /// Every action, in the order of an order's life.
            pub const ALL: &[Self] = &[$(Self::$action),+];

            /// Its name in answers.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }

            fn guard(self, order: &Order) -> Result<(), Obstacle> {
                match self {
                    $(Self::$action => $guard(order),)+
                }
            }
        }
    };
}

actions! {
    /// Authorise a payment.
    Payment "payment" authorize::guard;
    /// Reserve inventory.
    Reserve "reserve" reserve::guard;
    /// Ship reserved units.
    Ship "ship" ship::guard;
}

impl Order {
    /// Whether an action may be done next, with every field left out that may be.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn allows(&self, action: Action) -> Result<(), Obstacle> {
        action.guard(self)
    }

    /// What may be done next.
    pub fn allowed_actions(&self) -> Vec<Action> {
        Action::ALL.iter().copied().filter(|action| self.allows(*action).is_ok()).collect()
    }
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

/// Commands for the properties that no sequence of them may break (`specification/properties.rs`).
#[cfg(test)]
pub(crate) mod any {
    use proptest::prelude::*;

    use super::*;
    use crate::AdjustmentKind;
    use crate::specification::*;

    /// Ids come from small sets, so that repetitions and reuse happen often.
    pub(crate) fn command() -> impl Strategy<Value = OrderCommand> {
        let id = |prefix: &'static str| (0..4_u8).prop_map(move |n| format!("{prefix}-{n}"));
        let units = prop_oneof![
            (1..5_u64, 1..4_u64).prop_map(|(line, quantity)| of_line(line, quantity)),
            ((0..4_u8), 1..4_u64).prop_map(|(sku, quantity)| of_sku(&format!("sku-{sku}"), quantity)),
        ];
        prop_oneof![
            1 => placement().prop_map(OrderCommand::from),
            3 => (id("p"), proptest::option::of(0..4000_i64)).prop_map(|(id, amount)| pay(&id, amount).into()),
            3 => id("r").prop_map(|id| reserve(&id).into()),
            3 => id("t").prop_map(|id| ship(&id).into()),
            3 => (id("t"), prop::collection::vec(units, 1..4)).prop_map(|(id, units)| ship_units(&id, units).into()),
        ]
    }

    pub(crate) fn placement() -> impl Strategy<Value = PlaceOrder> {
        let any_line = ((0..3_u8), 1..5_u64, 0..1000_i64);
        (prop::collection::vec(any_line, 1..4), -800..800_i64).prop_map(|(lines, amount)| {
            let kind = if amount < 0 { AdjustmentKind::Discount } else { AdjustmentKind::Fee };
            let lines: Vec<_> =
                lines.iter().map(|(sku, n, price)| line(&format!("sku-{sku}"), *n, *price)).collect();
            PlaceOrder { adjustments: Some(vec![adjustment(kind, amount)]), ..place_lines(lines) }
        })
    }

    /// The command of an action as it would do something to the order if any would: a new id, and everything left out that
    /// may be.
    pub(crate) fn least(action: Action, _order: &Order) -> OrderCommand {
        match action {
            Action::Payment => pay("p-new", None).into(),
            Action::Reserve => reserve("r-new").into(),
            Action::Ship => ship("t-new").into(),
        }
    }
}
