//! What no sequence of commands may break.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::command::any::{self, Step};

/// A sequence of commands at work: each comes two seconds after the one before, so that lives of one second are over.
#[derive(Default)]
struct Run {
    order: Option<Order>,
    clock: u32,
}

impl Run {
    fn now(&self) -> Timestamp {
        NOW.plus_seconds(2 * self.clock)
    }

    fn decide(&self, command: &OrderCommand) -> Result<Vec<OrderEvent>, OrderError> {
        decide(self.order.as_ref(), command, self.now())
    }

    /// The command that a step stands for now.
    fn command(&self, step: &Step) -> OrderCommand {
        match (step, &self.order) {
            (Step::Any(command), _) => command.clone(),
            (Step::Allowed(index), Some(order)) => match order.allowed_actions()[..] {
                [] => cancel().into(),
                ref allowed => any::least(*index.get(allowed), order, self.clock),
            },
            (Step::Allowed(_), None) => cancel().into(),
        }
    }

    /// Carries out a command, if it is accepted.
    fn attempt(&mut self, command: &OrderCommand) -> bool {
        self.clock += 1;
        let Ok(events) = self.decide(command) else { return false };
        self.order = events.iter().fold(self.order.take(), evolve);
        true
    }
}

/// What is not a sum of lists.
fn check_money(order: &Order) {
    let (due, money) = (order.due().get(), order.money());
    assert!(due >= 0 && due <= order.total().get());
    let needed = (due - money.net().get()).max(0);
    assert!(money.open_authorization().get() <= needed, "no more is authorised than is due and not taken");
    if order.is_cancelled() {
        assert_eq!(due, 0, "a cancelled order owes nothing");
    }
}

/// Commands whose repetition is accepted whatever came between: they name what they do by an id, or it cannot be undone.
fn is_told_apart_for_ever(command: &OrderCommand) -> bool {
    match command {
        // Where nothing was left to cancel, nothing was recorded.
        OrderCommand::CancelUnits(cancel) => cancel.units.is_some(),
        OrderCommand::DeliverShipment(deliver) => deliver.tracking_number.is_some(),
        OrderCommand::HoldOrder(_) | OrderCommand::ReleaseHold(_) => false,
        OrderCommand::Place(_)
        | OrderCommand::AuthorizePayment(_)
        | OrderCommand::DeclinePayment(_)
        | OrderCommand::VoidPayment(_)
        | OrderCommand::ReserveInventory(_)
        | OrderCommand::ReleaseReservation(_)
        | OrderCommand::Ship(_)
        | OrderCommand::LoseShipment(_)
        | OrderCommand::CapturePayment(_)
        | OrderCommand::RefundPayment(_)
        | OrderCommand::RequestReturn(_)
        | OrderCommand::ReceiveReturn(_)
        | OrderCommand::RejectReturn(_)
        | OrderCommand::CompleteOrder(_)
        | OrderCommand::ExpireReservation(_)
        | OrderCommand::ExpireAuthorization(_)
        | OrderCommand::CancelUnpaidOrder(_) => true,
    }
}

/// A timer that is due does something, and then it is gone.
fn check_timers(run: &Run) {
    let Some(order) = &run.order else { return };
    for timer in order.timers() {
        let fired = decide(Some(order), &timer.command, timer.due).expect("it is due");
        assert!(!fired.is_empty(), "{timer:?}");
        let after = fired.iter().fold(Some(order.clone()), evolve).expect("an order");
        assert!(after.timers().all(|left| left != timer), "{timer:?}");
        let early = Timestamp::from_micros(timer.due.as_micros() - 1);
        assert!(decide(Some(order), &timer.command, early).is_err(), "{timer:?}");
    }
}

/// Looks for commands that bring an order to its end, and says whether there are some.
fn find_an_end(mut run: Run) -> bool {
    for round in 0..8 {
        let Some(order) = run.order.clone() else { return true };
        if order.has_ended() {
            return true;
        }
        let name = |kind: &str| format!("{kind}-end-{round}");
        let parcels =
            order.shipments().iter().map(|parcel| deliver(Some(parcel.tracking_number.as_str())).into());
        let returns = order.returns().iter().map(|known| reject(known.id.as_str()).into());
        let rest: [OrderCommand; 6] = [
            pay(&name("p"), None).into(),
            capture(&name("c"), None).into(),
            refund(&name("f"), None).into(),
            pay(&name("q"), None).into(),
            capture(&name("d"), None).into(),
            CompleteOrder.into(),
        ];
        let opening: [OrderCommand; 2] = [unhold().into(), cancel().into()];
        for command in opening.into_iter().chain(parcels).chain(returns).chain(rest) {
            run.attempt(&command);
        }
    }
    run.order.is_some_and(|order| order.has_ended())
}

/// How many cases proptest tries by itself.
const USUAL_CASES: u32 = 256;

/// So many sequences, unless the variable `PROPTEST_CASES` asks for another number (256, which is proptest's own, counts as
/// not set).
fn config(cases: u32) -> ProptestConfig {
    let usual = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if usual.cases == USUAL_CASES { ProptestConfig { cases, ..usual } } else { usual }
}

proptest! {
    #![proptest_config(config(100_000))]

    #[test]
    fn no_sequence_of_commands_breaks_a_rule(
        first in any::placement(),
        steps in prop::collection::vec(any::step(), 0..40),
    ) {
        let mut run = Run::default();
        let mut accepted = Vec::new();
        let mut due = Cents::MAX;
        for step in std::iter::once(Step::Any(first.into())).chain(steps) {
            let command = run.command(&step);
            if !run.attempt(&command) {
                continue;
            }
            prop_assert_eq!(run.decide(&command), Ok(vec![]), "{:?} again", command);
            if let Some(order) = &run.order {
                prop_assert_eq!(order.imbalance(), None);
                check_money(order);
                prop_assert!(order.due() <= due, "what is due never grows");
                due = order.due();
            }
            check_timers(&run);
            if is_told_apart_for_ever(&command) {
                accepted.push(command);
            }
        }
        for command in accepted {
            prop_assert_eq!(run.decide(&command), Ok(vec![]), "{:?}, at the end", command);
        }
        prop_assert!(find_an_end(run), "the order is stuck");
    }
}

proptest! {
    #![proptest_config(config(20_000))]

    #[test]
    fn an_action_is_allowed_exactly_when_its_command_does_something(
        first in any::placement(),
        steps in prop::collection::vec(any::step(), 0..30),
    ) {
        let mut run = Run::default();
        for step in std::iter::once(Step::Any(first.into())).chain(steps) {
            let command = run.command(&step);
            run.attempt(&command);
            let Some(order) = &run.order else { continue };
            for &action in Action::ALL {
                let decided = run.decide(&any::least(action, order, u32::MAX));
                let appends = decided.as_ref().is_ok_and(|events| !events.is_empty());
                prop_assert_eq!(appends, order.allows(action).is_ok(), "{:?}: {:?}", action, decided);
                if let Err(OrderError::InTheWay(obstacle)) = decided {
                    prop_assert_eq!(order.allows(action), Err(obstacle), "{:?}", action);
                }
            }
        }
    }
}

macro_rules! kinds_of_events {
    ($($kind:ident)+) => {
        const KINDS_OF_EVENTS: &[&str] = &[$(stringify!($kind)),+];

        fn kind(event: &OrderEvent) -> &'static str {
            match event {
                $(OrderEvent::$kind(_) => stringify!($kind),)+
            }
        }
    };
}

kinds_of_events! {
    OrderPlaced PaymentAuthorized PaymentDeclined PaymentVoided InventoryReserved ReservationReleased OrderShipped
    ShipmentDelivered ShipmentLost PaymentCaptured PaymentRefunded LinesCancelled OrderCancelled ReturnRequested
    ReturnReceived ReturnRejected OrderHeld HoldReleased OrderCompleted
}

/// The properties are worth something only if their sequences go everywhere.
#[test]
fn the_sequences_reach_every_status_and_every_kind_of_event() {
    let (mut statuses, mut events) = (HashSet::new(), HashSet::new());
    let sequence = (any::placement(), prop::collection::vec(any::step(), 0..40));
    let mut runner = TestRunner::new(config(0));
    for _ in 0..100_000 {
        let (first, steps) = sequence.new_tree(&mut runner).expect("a sequence").current();
        let mut run = Run::default();
        for step in std::iter::once(Step::Any(first.into())).chain(steps) {
            let command = run.command(&step);
            events.extend(run.decide(&command).unwrap_or_default().iter().map(kind));
            run.attempt(&command);
            statuses.extend(run.order.as_ref().map(Order::status));
        }
        if statuses.len() == Status::ALL.len() && events.len() == KINDS_OF_EVENTS.len() {
            return;
        }
    }
    let missing: Vec<_> = KINDS_OF_EVENTS.iter().filter(|kind| !events.contains(*kind)).collect();
    panic!("only {statuses:?} were reached, and never {missing:?}");
}
