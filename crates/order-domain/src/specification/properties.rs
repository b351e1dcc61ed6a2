//! What no sequence of commands may break.

use proptest::prelude::*;

use super::*;
use crate::command::any;

fn check_ledgers(order: &Order) {
    for (index, line) in order.lines().iter().enumerate() {
        let units = line.ledger;
        assert!(units.cancelled + units.shipped <= units.ordered, "{units:?}");
        assert!(units.delivered <= units.shipped && units.returned <= units.shipped, "{units:?}");
        assert!(units.reserved <= units.open(), "{units:?}");
        let held =
            order.reservations().iter().flat_map(|r| &r.held).filter(|(line, _)| line.index() == index);
        assert_eq!(held.map(|(_, n)| n).sum::<u32>(), units.reserved, "reservations hold what the line says");
        let sent = order.shipments().iter().flat_map(|s| &s.units).filter(|u| u.line.index() == index);
        assert_eq!(sent.map(|u| u.quantity).sum::<u32>(), units.shipped, "parcels hold what the line says");
    }
    for payment in order.payments() {
        let money = payment.ledger;
        assert!(money.refunded <= money.captured, "{money:?}");
        assert!(money.captured.get() + money.voided.get() <= money.authorized.get(), "{money:?}");
    }
    assert!(order.money().covered() <= order.due(), "no payment beyond what is due");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ledgers_hold_and_repetitions_change_nothing(
        first in any::placement(),
        commands in prop::collection::vec(any::command(), 0..40),
    ) {
        let mut order = None;
        for command in std::iter::once(first.into()).chain(commands) {
            let Ok(events) = decide(order.as_ref(), &command, NOW) else { continue };
            order = events.iter().fold(order, evolve);
            if let Some(order) = &order {
                check_ledgers(order);
                prop_assert_eq!(decide(Some(order), &command, NOW), Ok(vec![]), "{:?} again", command);
            }
        }
    }

    #[test]
    fn every_order_can_be_brought_to_its_end(
        first in any::placement(),
        commands in prop::collection::vec(any::command(), 0..20),
    ) {
        let run = |order: Option<Order>, command: &OrderCommand| match decide(order.as_ref(), command, NOW) {
            Ok(events) => events.iter().fold(order, evolve),
            Err(_) => order,
        };
        let mut order = std::iter::once(first.into()).chain(commands).fold(None, |order, c| run(order, &c));
        for last in [pay("p-end", None).into(), reserve("r-end").into(), ship("t-end").into()] {
            order = run(order, &last);
        }
        if let Some(order) = order {
            prop_assert_eq!(order.status(), Status::Shipped);
        }
    }

    #[test]
    fn an_action_is_allowed_exactly_when_its_command_does_something(
        first in any::placement(),
        commands in prop::collection::vec(any::command(), 0..20),
    ) {
        let mut order = None;
        for command in std::iter::once(first.into()).chain(commands) {
            if let Ok(events) = decide(order.as_ref(), &command, NOW) {
                order = events.iter().fold(order, evolve);
            }
            let Some(order) = &order else { continue };
            for &action in Action::ALL {
                let decided = decide(Some(order), &any::least(action, order), NOW);
                let appends = decided.as_ref().is_ok_and(|events| !events.is_empty());
                prop_assert_eq!(appends, order.allows(action).is_ok(), "{:?}", action);
                if let Err(OrderError::InvalidTransition(obstacle)) = decided {
                    prop_assert_eq!(order.allows(action), Err(obstacle), "{:?}", action);
                }
            }
        }
    }
}
