use crate::harness::*;
use order_domain::*;

#[test]
fn every_open_unit_is_reserved_once_the_order_is_covered() {
    given([placed(), paid("p", 5000)]).when(reserve("r")).then([reserved("r", &[(1, 2), (2, 1)])]);
}

#[test]
fn an_order_that_is_not_covered_reserves_nothing() {
    for past in [vec![placed()], vec![placed(), paid("p", 4999)]] {
        given(past).when(reserve("r")).then_in_the_way(Action::Reserve, ReserveObstacle::NotCovered);
    }
}

#[test]
fn an_order_that_costs_nothing_is_covered_from_the_start() {
    let free = placed_by(place_lines([line("gift", 3, 0)]));
    given([free]).when(reserve("r")).then([reserved("r", &[(1, 3)])]);
}

#[test]
fn a_life_in_seconds_becomes_a_point_in_time() {
    let command = ReserveInventory { expires_in_seconds: Some(60), ..reserve("r") };
    let OrderEvent::InventoryReserved(units) = reserved("r", &[(1, 2), (2, 1)]) else { unreachable!() };
    let expires = Some((60, Timestamp::from_micros(NOW.as_micros() + 60_000_000)));
    given([placed(), paid("p", 5000)])
        .when(command)
        .then([OrderEvent::InventoryReserved(InventoryReserved { expires, ..units })]);
}

#[test]
fn the_same_reservation_again_changes_nothing() {
    let past = [placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])];
    given(past.clone()).when(reserve("r")).then_nothing();
    let shipped = shipped("t", &[(1, "r", 2), (2, "r", 1)]);
    given(past.into_iter().chain([shipped])).when(reserve("r")).then_nothing();
}

#[test]
fn the_same_reservation_id_with_another_life_is_refused() {
    given([placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])])
        .when(ReserveInventory { expires_in_seconds: Some(1), ..reserve("r") })
        .then_refused(OrderError::IdReused { kind: IdKind::Reservation });
}

#[test]
fn what_is_reserved_is_not_reserved_again() {
    given([placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])])
        .when(reserve("r-2"))
        .then_in_the_way(Action::Reserve, ReserveObstacle::NothingOpen);
}
