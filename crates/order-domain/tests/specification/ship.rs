use crate::harness::*;
use order_domain::*;

/// Two `sku-1` and one `sku-2`, paid and reserved.
fn ready() -> Vec<OrderEvent> {
    vec![placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])]
}

/// Lines 1 and 3 have the same SKU: 2 and 3 units of `a`, 1 of `b`.
fn ready_with_one_sku_on_two_lines() -> Vec<OrderEvent> {
    let placed = placed_by(place_lines([line("a", 2, 1), line("b", 1, 1), line("a", 3, 1)]));
    vec![placed, paid("p", 6), reserved("r", &[(1, 2), (2, 1), (3, 3)])]
}

#[test]
fn units_left_out_are_all_that_is_reserved() {
    given(ready()).when(ship("t")).then([shipped("t", &[(1, "r", 2), (2, "r", 1)])]);
}

#[test]
fn the_rest_goes_in_a_second_parcel() {
    let first = shipped("t-1", &[(1, "r", 1)]);
    given(ready()).when(ship_units("t-1", [of_sku("sku-1", 1)])).then([first.clone()]);
    given(ready().into_iter().chain([first]))
        .when(ship("t-2"))
        .then([shipped("t-2", &[(1, "r", 1), (2, "r", 1)])]);
}

#[test]
fn a_sku_on_two_lines_is_taken_in_line_order() {
    given(ready_with_one_sku_on_two_lines())
        .when(ship_units("t", [of_sku("a", 4)]))
        .then([shipped("t", &[(1, "r", 2), (3, "r", 2)])]);
}

#[test]
fn units_named_by_line_are_not_given_to_a_sku() {
    given(ready_with_one_sku_on_two_lines())
        .when(ship_units("t", [of_sku("a", 3), of_line(1, 2)]))
        .then([shipped("t", &[(1, "r", 2), (3, "r", 3)])]);
}

#[test]
fn more_than_is_reserved_is_refused() {
    given(ready())
        .when(ship_units("t", [of_sku("sku-1", 3)]))
        .then_refused(OrderError::QuantityExceedsAvailable { requested: 3, available: 2 });
    given(ready())
        .when(ship_units("t", [of_line(1, 2), of_sku("sku-1", 1)]))
        .then_refused(OrderError::QuantityExceedsAvailable { requested: 1, available: 0 });
}

#[test]
fn what_the_order_does_not_have_is_refused() {
    given(ready())
        .when(ship_units("t", [of_line(3, 1)]))
        .then_refused(OrderError::UnknownReference(Reference::Line(number(3))));
    given(ready())
        .when(ship_units("t", [of_sku("sku-3", 1)]))
        .then_refused(OrderError::UnknownReference(Reference::Sku(Sku::new("sku-3").unwrap())));
}

#[test]
fn nothing_reserved_means_nothing_to_ship() {
    let done = ready().into_iter().chain([shipped("t-1", &[(1, "r", 2), (2, "r", 1)])]).collect();
    for past in [vec![placed(), paid("p", 5000)], done] {
        given(past).when(ship("t-2")).then_in_the_way(Action::Ship, ShipObstacle::NothingReserved);
    }
}

/// No command leads here today, but events are what they are.
#[test]
fn what_is_reserved_is_not_shipped_before_it_is_covered() {
    given([placed(), reserved("r", &[(1, 2)])])
        .when(ship("t"))
        .then_in_the_way(Action::Ship, ShipObstacle::NotCovered);
}

#[test]
fn the_same_parcel_again_changes_nothing() {
    let past =
        || ready_with_one_sku_on_two_lines().into_iter().chain([shipped("t", &[(1, "r", 2), (3, "r", 2)])]);
    let retries = [
        ship("t"),
        ship_units("t", [of_sku("a", 4)]),
        ship_units("t", [of_sku("a", 1), of_sku("a", 3)]),
        ship_units("t", [of_line(1, 2), of_line(3, 2)]),
        ship_units("t", [of_line(3, 2), of_sku("a", 2)]),
    ];
    for retry in retries {
        given(past()).when(retry).then_nothing();
    }
}

#[test]
fn the_same_tracking_number_for_another_parcel_is_refused() {
    let past =
        || ready_with_one_sku_on_two_lines().into_iter().chain([shipped("t", &[(1, "r", 2), (3, "r", 2)])]);
    let others = [
        ShipOrder { carrier: Carrier::new("DHL").unwrap(), ..ship("t") },
        ship_units("t", [of_sku("a", 3)]),
        ship_units("t", [of_sku("a", 4), of_sku("b", 1)]),
        ship_units("t", [of_line(1, 1), of_line(3, 3)]),
        ship_units("t", [of_line(9, 4)]),
    ];
    for other in others {
        given(past()).when(other).then_refused(OrderError::IdReused { kind: IdKind::TrackingNumber });
    }
}

#[test]
fn the_oldest_reservation_is_shipped_first() {
    let past = [placed(), paid("p", 5000), reserved("r-1", &[(1, 1)]), reserved("r-2", &[(1, 1), (2, 1)])];
    given(past.clone()).when(ship_units("t", [of_line(1, 1)])).then([shipped("t", &[(1, "r-1", 1)])]);
    given(past).when(ship("t")).then([shipped("t", &[(1, "r-1", 1), (1, "r-2", 1), (2, "r-2", 1)])]);
}
