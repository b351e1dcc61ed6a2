//! What no sequence of commands may break.

use proptest::prelude::*;

use super::*;
use crate::command::any;

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

    /// Carries out a command, if it is accepted.
    fn attempt(&mut self, command: &OrderCommand) -> bool {
        self.clock += 1;
        let Ok(events) = self.decide(command) else { return false };
        self.order = events.iter().fold(self.order.take(), evolve);
        true
    }
}

fn check_units(order: &Order) {
    for (index, line) in order.lines().iter().enumerate() {
        let units = line.ledger;
        assert!(units.cancelled + units.shipped <= units.ordered, "{units:?}");
        assert!(units.delivered <= units.shipped, "{units:?}");
        assert!(units.returned + units.returning <= units.delivered, "{units:?}");
        assert!(units.reserved <= units.open(), "{units:?}");
        let of_line = |units: &LineUnits| (units.line.index() == index).then_some(units.quantity);
        let held = order.reservations().iter().flat_map(|r| &r.held).filter_map(of_line).sum::<u32>();
        assert_eq!(held, units.reserved, "reservations hold what the line says");
        let sent = |counts: fn(ShipmentState) -> bool| {
            let parcels = order.shipments().iter().filter(move |parcel| counts(parcel.state));
            parcels.flat_map(Shipment::units).filter_map(|units| of_line(&units)).sum::<u32>()
        };
        assert_eq!(
            sent(|state| state != ShipmentState::Lost),
            units.shipped,
            "parcels hold what the line says"
        );
        assert_eq!(sent(|state| state == ShipmentState::Delivered), units.delivered, "parcels that arrived");
        let back = |known: &Return| match &known.state {
            ReturnState::Received { units, .. } => units.iter().filter_map(of_line).sum::<u32>(),
            ReturnState::Requested | ReturnState::Rejected => 0,
        };
        assert_eq!(order.returns().iter().map(back).sum::<u32>(), units.returned, "returns that arrived");
        let open = order.returns().iter().filter(|known| known.state == ReturnState::Requested);
        let asked_back = open.flat_map(|known| &known.units).filter_map(of_line).sum::<u32>();
        assert_eq!(asked_back, units.returning, "returns that are open");
    }
}

fn check_money(order: &Order) {
    let sum = |shares: Vec<&PaymentShare>, id: &PaymentId| {
        let own = shares.into_iter().filter(|share| share.payment_id == *id);
        own.map(|share| share.amount.get()).sum::<i64>()
    };
    for Payment { id, ledger: money, .. } in order.payments() {
        assert!(money.refunded <= money.captured, "{money:?}");
        assert!(money.captured.get() + money.voided.get() <= money.authorized.get(), "{money:?}");
        let captured = order.captures().iter().flat_map(|capture| &capture.shares).collect();
        assert_eq!(sum(captured, id), money.captured.get(), "captures add up to what the payment says");
        let refunded = order.refunds().iter().flat_map(|refund| &refund.shares).collect();
        assert_eq!(sum(refunded, id), money.refunded.get(), "refunds add up to what the payment says");
    }
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
        OrderCommand::CancelUnits(cancel) => cancel.cancellation_id.is_some(),
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

/// So many sequences, unless `PROPTEST_CASES` says otherwise.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_sequence_of_commands_breaks_a_rule(
        first in any::placement(),
        commands in prop::collection::vec(any::command(), 0..40),
    ) {
        let mut run = Run::default();
        let mut accepted = Vec::new();
        let mut due = Cents::MAX;
        for command in std::iter::once(first.into()).chain(commands) {
            if !run.attempt(&command) {
                continue;
            }
            prop_assert_eq!(run.decide(&command), Ok(vec![]), "{:?} again", command);
            if let Some(order) = &run.order {
                check_units(order);
                check_money(order);
                prop_assert!(order.due() <= due, "what is due never grows");
                due = order.due();
            }
            if is_told_apart_for_ever(&command) {
                accepted.push(command);
            }
        }
        for command in accepted {
            prop_assert_eq!(run.decide(&command), Ok(vec![]), "{:?}, at the end", command);
        }
        prop_assert!(find_an_end(run), "the order is stuck");
    }

    #[test]
    fn an_action_is_allowed_exactly_when_its_command_does_something(
        first in any::placement(),
        commands in prop::collection::vec(any::command(), 0..30),
    ) {
        let mut run = Run::default();
        for command in std::iter::once(first.into()).chain(commands) {
            run.attempt(&command);
            let Some(order) = &run.order else { continue };
            for &action in Action::ALL {
                let decided = run.decide(&any::least(action, order));
                let appends = decided.as_ref().is_ok_and(|events| !events.is_empty());
                prop_assert_eq!(appends, order.allows(action).is_ok(), "{:?}: {:?}", action, decided);
                if let Err(OrderError::InTheWay(obstacle)) = decided {
                    prop_assert_eq!(order.allows(action), Err(obstacle), "{:?}", action);
                }
            }
        }
    }
}
