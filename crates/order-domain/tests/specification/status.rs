use crate::harness::*;
use order_domain::{Action, OrderEvent, Status};

#[track_caller]
fn check(events: &[OrderEvent], status: Status, actions: &[Action]) {
    let order = given(events.to_vec()).order();
    assert_eq!((order.status(), &*order.allowed_actions()), (status, actions));
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
    check(&life[..1], Status::Placed, &[Action::Payment]);
    check(&life[..2], Status::Placed, &[Action::Payment]);
    check(&life[..3], Status::PaymentAuthorized, &[Action::Reserve]);
    check(&life[..4], Status::InventoryReserved, &[Action::Ship]);
    check(&life[..5], Status::PartiallyShipped, &[Action::Ship]);
    check(&life, Status::Shipped, &[]);
}

#[test]
fn an_order_that_costs_nothing_starts_covered() {
    let free = placed_by(place_lines([line("gift", 1, 0)]));
    check(&[free], Status::PaymentAuthorized, &[Action::Payment, Action::Reserve]);
}

#[test]
fn every_status_has_a_name_of_its_own() {
    for status in Status::ALL {
        assert_eq!(Status::from_name(status.as_str()), Some(status));
    }
    assert_eq!(Status::from_name("lost"), None);
}
