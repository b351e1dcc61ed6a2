//! Every command: what somebody wants of an order, how it is decided, and whether it may be asked now.
//!
//! Every value in a command is valid by itself; whether the order allows it is for [`decide()`] to say. A field that the
//! client left out is `None`: it takes its default when the command is decided, and it matches whatever was recorded when
//! the command is a retry.

use crate::cancellation::{CancelUnits, CancelUnpaidOrder, cancel, cancel_unpaid};
use crate::completion::{CompleteOrder, complete};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::fulfilment::{DeliverShipment, LoseShipment, ShipOrder, deliver, lost, ship};
use crate::hold::{self, HoldOrder, ReleaseHold};
use crate::inventory::{self, ExpireReservation, ReleaseReservation, ReserveInventory, release, reserve};
use crate::order::Order;
use crate::payment::{
    self, AuthorizePayment, CapturePayment, DeclinePayment, ExpireAuthorization, RefundPayment, VoidPayment,
    authorize, capture, decline, refund, void,
};
use crate::placement::place::{self, PlaceOrder};
use crate::returns::{ReceiveReturn, RejectReturn, RequestReturn, receive, reject, request};
use crate::values::time::Timestamp;

/// A command to one order. Which order is not part of it: commands are addressed to a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderCommand {
    /// Begins an order.
    Place(PlaceOrder),
    /// Records that a payment was authorised.
    AuthorizePayment(AuthorizePayment),
    /// Records that a payment was declined.
    DeclinePayment(DeclinePayment),
    /// Records that of an authorised payment something will not be captured.
    VoidPayment(VoidPayment),
    /// Holds stock for every open unit that has none held.
    ReserveInventory(ReserveInventory),
    /// Frees what a reservation holds.
    ReleaseReservation(ReleaseReservation),
    /// Hands reserved units to a carrier, as one parcel.
    Ship(ShipOrder),
    /// Records that a parcel arrived.
    DeliverShipment(DeliverShipment),
    /// Records that a parcel will not arrive.
    LoseShipment(LoseShipment),
    /// Records that authorised money was taken.
    CapturePayment(CapturePayment),
    /// Records that taken money was given back.
    RefundPayment(RefundPayment),
    /// Gives up units that are not shipped.
    CancelUnits(CancelUnits),
    /// Asks delivered units back.
    RequestReturn(RequestReturn),
    /// Records that units came back.
    ReceiveReturn(ReceiveReturn),
    /// Takes units not back.
    RejectReturn(RejectReturn),
    /// Holds the order back.
    HoldOrder(HoldOrder),
    /// Lets a held order go on.
    ReleaseHold(ReleaseHold),
    /// Closes the order.
    CompleteOrder(CompleteOrder),
    /// Of a timer: frees what a reservation holds whose life is over.
    ExpireReservation(ExpireReservation),
    /// Of a timer: voids what is open of a payment whose authorisation's life is over.
    ExpireAuthorization(ExpireAuthorization),
    /// Of a timer: cancels an order that payments did not cover in time.
    CancelUnpaidOrder(CancelUnpaidOrder),
}

/// What a command does to an order: the events to append, none when what it asks for was done already.
///
/// `order` is the fold of all its events so far, `None` before the first; `now` is what the clock says, from which lives
/// and terms are reckoned. The same input always gives the same answer.
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
    let existing = || order.ok_or(OrderError::NotFound);
    match command {
        OrderCommand::Place(command) => place::decide(order, command, now),
        OrderCommand::AuthorizePayment(command) => authorize::decide(existing()?, command, now),
        OrderCommand::DeclinePayment(command) => decline::decide(existing()?, command),
        OrderCommand::VoidPayment(command) => void::decide(existing()?, command),
        OrderCommand::ReserveInventory(command) => reserve::decide(existing()?, command, now),
        OrderCommand::ReleaseReservation(command) => release::decide(existing()?, command),
        OrderCommand::Ship(command) => ship::decide(existing()?, command),
        OrderCommand::DeliverShipment(command) => deliver::decide(existing()?, command),
        OrderCommand::LoseShipment(command) => lost::decide(existing()?, command),
        OrderCommand::CapturePayment(command) => capture::decide(existing()?, command),
        OrderCommand::RefundPayment(command) => refund::decide(existing()?, command),
        OrderCommand::CancelUnits(command) => cancel::decide(existing()?, command),
        OrderCommand::RequestReturn(command) => request::decide(existing()?, command),
        OrderCommand::ReceiveReturn(command) => receive::decide(existing()?, command),
        OrderCommand::RejectReturn(command) => reject::decide(existing()?, command),
        OrderCommand::HoldOrder(command) => hold::place::decide(existing()?, command),
        OrderCommand::ReleaseHold(command) => hold::release::decide(existing()?, command),
        OrderCommand::CompleteOrder(CompleteOrder) => complete::decide(existing()?),
        OrderCommand::ExpireReservation(command) => inventory::expire::decide(existing()?, command, now),
        OrderCommand::ExpireAuthorization(command) => payment::expire::decide(existing()?, command, now),
        OrderCommand::CancelUnpaidOrder(CancelUnpaidOrder) => cancel_unpaid::decide(existing()?, now),
    }
}

/// Whether a field of a repeated command agrees with what was recorded: left out, it does.
pub(crate) fn matches_recorded<T: PartialEq>(given: Option<&T>, recorded: &T) -> bool {
    given.is_none_or(|given| given == recorded)
}

impl OrderCommand {
    /// The action that it is a command of; none of a placement and of timers.
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::AuthorizePayment(_) => Some(Action::Payment),
            Self::DeclinePayment(_) => Some(Action::Decline),
            Self::VoidPayment(_) => Some(Action::Void),
            Self::ReserveInventory(_) => Some(Action::Reserve),
            Self::ReleaseReservation(_) => Some(Action::Release),
            Self::Ship(_) => Some(Action::Ship),
            Self::DeliverShipment(_) => Some(Action::Deliver),
            Self::LoseShipment(_) => Some(Action::Lost),
            Self::CapturePayment(_) => Some(Action::Capture),
            Self::RefundPayment(_) => Some(Action::Refund),
            Self::CancelUnits(_) => Some(Action::Cancel),
            Self::RequestReturn(_) => Some(Action::Returns),
            Self::ReceiveReturn(_) => Some(Action::Receive),
            Self::RejectReturn(_) => Some(Action::Reject),
            Self::HoldOrder(_) => Some(Action::Hold),
            Self::ReleaseHold(_) => Some(Action::Unhold),
            Self::CompleteOrder(_) => Some(Action::Complete),
            Self::Place(_)
            | Self::ExpireReservation(_)
            | Self::ExpireAuthorization(_)
            | Self::CancelUnpaidOrder(_) => None,
        }
    }

    /// Whether the command leads to an order's end. For those the last part of a history is kept free.
    pub fn leads_to_the_end(&self) -> bool {
        match self.action() {
            Some(action) => action.leads_to_the_end(),
            None => !matches!(self, Self::Place(_)),
        }
    }
}

impl Action {
    /// Whether the action leads to an order's end. For those the last part of a history is kept free.
    pub const fn leads_to_the_end(self) -> bool {
        match self {
            Self::Void
            | Self::Release
            | Self::Deliver
            | Self::Lost
            | Self::Capture
            | Self::Refund
            | Self::Cancel
            | Self::Receive
            | Self::Reject
            | Self::Complete => true,
            Self::Payment
            | Self::Decline
            | Self::Reserve
            | Self::Ship
            | Self::Returns
            | Self::Hold
            | Self::Unhold => false,
        }
    }
}

/// Each line is an action: its name, which is that of its route, and its guard.
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
    /// Record a declined payment.
    Decline "decline" decline::guard;
    /// Void an authorisation.
    Void "void" void::guard;
    /// Reserve inventory.
    Reserve "reserve" reserve::guard;
    /// Release a reservation.
    Release "release" release::guard;
    /// Ship reserved units.
    Ship "ship" ship::guard;
    /// Record a delivery.
    Deliver "deliver" deliver::guard;
    /// Record a lost parcel.
    Lost "lost" lost::guard;
    /// Capture authorised money.
    Capture "capture" capture::guard;
    /// Refund captured money.
    Refund "refund" refund::guard;
    /// Cancel open units.
    Cancel "cancel" cancel::guard;
    /// Ask delivered units back.
    Returns "returns" request::guard;
    /// Receive a return.
    Receive "receive" receive::guard;
    /// Reject a return.
    Reject "reject" reject::guard;
    /// Hold the order back.
    Hold "hold" hold::place::guard;
    /// Let a held order go on.
    Unhold "unhold" hold::release::guard;
    /// Complete the order.
    Complete "complete" complete::guard;
}

impl Order {
    /// Whether an action may be done next: whether there is a command of it that would be accepted and change something.
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

macro_rules! command_from {
    ($($command:ident($content:ident))+) => {
        $(impl From<$content> for OrderCommand {
            fn from(command: $content) -> Self {
                Self::$command(command)
            }
        })+
    };
}

command_from! {
    Place(PlaceOrder)
    AuthorizePayment(AuthorizePayment)
    DeclinePayment(DeclinePayment)
    VoidPayment(VoidPayment)
    ReserveInventory(ReserveInventory)
    ReleaseReservation(ReleaseReservation)
    Ship(ShipOrder)
    DeliverShipment(DeliverShipment)
    LoseShipment(LoseShipment)
    CapturePayment(CapturePayment)
    RefundPayment(RefundPayment)
    CancelUnits(CancelUnits)
    RequestReturn(RequestReturn)
    ReceiveReturn(ReceiveReturn)
    RejectReturn(RejectReturn)
    HoldOrder(HoldOrder)
    ReleaseHold(ReleaseHold)
    CompleteOrder(CompleteOrder)
    ExpireReservation(ExpireReservation)
    ExpireAuthorization(ExpireAuthorization)
    CancelUnpaidOrder(CancelUnpaidOrder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specification::*;
    use crate::{PaymentId, ReservationId};

    #[test]
    fn room_is_kept_for_what_leads_to_the_end() {
        let kept: Vec<_> = Action::ALL.iter().filter(|action| action.leads_to_the_end()).collect();
        let names: Vec<_> = kept.into_iter().map(|action| action.as_str()).collect();
        let of_ends =
            ["void", "release", "deliver", "lost", "capture", "refund", "cancel", "receive", "reject"];
        assert_eq!(names, [&of_ends[..], &["complete"]].concat());
        let timers: [OrderCommand; 3] = [
            ExpireReservation { reservation_id: ReservationId::new("r").unwrap() }.into(),
            ExpireAuthorization { payment_id: PaymentId::new("p").unwrap() }.into(),
            CancelUnpaidOrder.into(),
        ];
        assert!(timers.iter().all(OrderCommand::leads_to_the_end), "timers, too");
        assert!(OrderCommand::from(cancel()).leads_to_the_end());
        assert!(!OrderCommand::from(ship("t")).leads_to_the_end());
        assert!(!OrderCommand::from(place()).leads_to_the_end());
    }
}

/// Commands for the properties that no sequence of them may break (`specification/properties.rs`).
#[cfg(test)]
pub(crate) mod any {
    use proptest::prelude::*;

    use super::*;
    use crate::specification::*;
    use crate::{
        AdjustmentKind, Cents, Payment, PaymentId, ReservationId, ReturnState, ShipmentState, UnitRequest,
    };

    /// What comes next in a sequence.
    #[derive(Debug, Clone)]
    pub(crate) enum Step {
        /// Any command, whether or not it fits.
        Any(OrderCommand),
        /// The least of one of the actions that are allowed, so that sequences come far.
        Allowed(prop::sample::Index),
    }

    pub(crate) fn step() -> impl Strategy<Value = Step> {
        prop_oneof![command().prop_map(Step::Any), any::<prop::sample::Index>().prop_map(Step::Allowed)]
    }

    /// Ids come from small sets, so that repetitions and reuse happen often.
    fn command() -> impl Strategy<Value = OrderCommand> {
        let id = |prefix: &'static str| (0..4_u8).prop_map(move |n| format!("{prefix}-{n}"));
        let amount = || proptest::option::of(1..3000_i64);
        // One second is over when the next command comes.
        let life = || proptest::option::of(Just(1));
        let some_units = || prop::collection::vec(units(), 1..4);
        let money = prop_oneof![
            4 => (id("p"), proptest::option::of(0..4000_i64), life()).prop_map(|(id, amount, expires_in_seconds)| {
                AuthorizePayment { expires_in_seconds, ..pay(&id, amount) }.into()
            }),
            1 => id("p").prop_map(|id| decline(&id).into()),
            1 => (id("v"), id("p"), amount()).prop_map(|(id, of, amount)| void(&id, &of, amount).into()),
            2 => (id("c"), amount()).prop_map(|(id, amount)| capture(&id, amount).into()),
            1 => (id("c"), amount(), id("p")).prop_map(|(id, amount, of)| capture_of(&id, amount, &of).into()),
            1 => (id("f"), amount(), any::<bool>()).prop_map(|(id, amount, repay)| {
                RefundPayment { repay: Some(repay), ..refund(&id, amount) }.into()
            }),
            1 => (id("f"), amount(), id("p")).prop_map(|(id, amount, of)| refund_of(&id, amount, &of).into()),
        ];
        let goods = prop_oneof![
            4 => (id("r"), life()).prop_map(|(id, expires_in_seconds)| {
                ReserveInventory { expires_in_seconds, ..reserve(&id) }.into()
            }),
            1 => id("r").prop_map(|id| release(&id).into()),
            3 => id("t").prop_map(|id| ship(&id).into()),
            3 => (id("t"), some_units()).prop_map(|(id, units)| ship_units(&id, units).into()),
            3 => id("t").prop_map(|id| deliver(Some(&id)).into()),
            1 => Just(deliver(None).into()),
            1 => id("t").prop_map(|id| lose(&id).into()),
            2 => (id("x"), some_units()).prop_map(|(id, units)| ask_back(&id, units).into()),
            1 => (id("x"), proptest::option::of(some_units())).prop_map(|(id, units)| receive(&id, units).into()),
            1 => id("x").prop_map(|id| reject(&id).into()),
        ];
        let whole = prop_oneof![
            2 => placement().prop_map(OrderCommand::from),
            1 => Just(cancel().into()),
            1 => id("k").prop_map(|id| CancelUnits { units: None, ..cancel_units(&id, []) }.into()),
            2 => (id("k"), some_units()).prop_map(|(id, units)| cancel_units(&id, units).into()),
            1 => Just(hold().into()),
            2 => Just(unhold().into()),
            1 => Just(CompleteOrder.into()),
        ];
        let timers = prop_oneof![
            id("r")
                .prop_map(|id| ExpireReservation { reservation_id: ReservationId::new(id).unwrap() }.into()),
            id("p").prop_map(|id| ExpireAuthorization { payment_id: PaymentId::new(id).unwrap() }.into()),
            Just(CancelUnpaidOrder.into()),
        ];
        prop_oneof![4 => money, 6 => goods, 2 => whole, 1 => timers]
    }

    fn units() -> impl Strategy<Value = UnitRequest> {
        prop_oneof![
            (1..5_u64, 1..4_u64).prop_map(|(line, quantity)| of_line(line, quantity)),
            ((0..4_u8), 1..4_u64).prop_map(|(sku, quantity)| of_sku(&format!("sku-{sku}"), quantity)),
        ]
    }

    pub(crate) fn placement() -> impl Strategy<Value = PlaceOrder> {
        let any_line = ((0..3_u8), 1..5_u64, 0..1000_i64);
        let lines = prop::collection::vec(any_line, 1..4);
        (lines, -800..800_i64, 0..300_i64, any::<bool>()).prop_map(|(lines, amount, tax, has_a_term)| {
            let kind = if amount < 0 { AdjustmentKind::Discount } else { AdjustmentKind::Fee };
            let lines: Vec<_> =
                lines.iter().map(|(sku, n, price)| line(&format!("sku-{sku}"), *n, *price)).collect();
            PlaceOrder {
                adjustments: Some(vec![adjustment(kind, amount), adjustment(AdjustmentKind::Tax, tax)]),
                pay_within_seconds: has_a_term.then_some(1),
                ..place_lines(lines)
            }
        })
    }

    /// The command of an action that would do something to the order if any would: everything left out that may be, what has
    /// to be named taken from the order, and a new id, of which there is one for each number.
    pub(crate) fn least(action: Action, order: &Order, number: u32) -> OrderCommand {
        let new = &format!("new-{number}");
        let open = |payment: &&Payment| payment.ledger.open_authorization() > Cents::ZERO;
        let open_payment = order.payments().iter().find(open).map_or("none", |payment| payment.id.as_str());
        let holding = order.reservations().iter().find(|reservation| !reservation.held.is_empty());
        let under_way = order.shipments().iter().find(|parcel| parcel.state == ShipmentState::UnderWay);
        let parcel = under_way.map_or("none", |parcel| parcel.tracking_number.as_str());
        let asked_back = order.returns().iter().find(|known| known.state == ReturnState::Requested);
        let asked_back = asked_back.map_or("none", |known| known.id.as_str());
        match action {
            Action::Payment => pay(new, None).into(),
            Action::Decline => decline(new).into(),
            Action::Void => void(new, open_payment, None).into(),
            Action::Reserve => reserve(new).into(),
            Action::Release => release(holding.map_or("none", |reservation| reservation.id.as_str())).into(),
            Action::Ship => ship(new).into(),
            Action::Deliver => deliver(Some(parcel)).into(),
            Action::Lost => lose(parcel).into(),
            Action::Capture => capture(new, None).into(),
            Action::Refund => refund(new, Some(1)).into(),
            Action::Cancel => cancel().into(),
            Action::Returns => {
                let returnable = order.units_by_line(|index| order.ledger(index).returnable());
                let units = returnable.first().map_or((1, 1), |units| (units.line.get(), units.quantity));
                ask_back(new, [of_line(units.0.into(), units.1.into())]).into()
            }
            Action::Receive => receive(asked_back, None).into(),
            Action::Reject => reject(asked_back).into(),
            Action::Hold => hold().into(),
            Action::Unhold => unhold().into(),
            Action::Complete => CompleteOrder.into(),
        }
    }
}
