use crate::harness::*;
use order_domain::*;

#[test]
fn a_new_order_records_everything_with_defaults_filled_in() {
    given([]).when(place()).then([OrderEvent::OrderPlaced(OrderPlaced {
        customer_id: CustomerId::new("cust-1").unwrap(),
        currency: Currency::USD,
        lines: vec![placed_line("sku-1", 2, 1500), placed_line("sku-2", 1, 2000)],
        adjustments: vec![],
        metadata: Metadata::default(),
        total: cents(5000),
    })]);
}

#[test]
fn adjustments_count_towards_the_total() {
    let adjustments =
        vec![adjustment(AdjustmentKind::Shipping, 700), adjustment(AdjustmentKind::Discount, -500)];
    let order = given([]).when(PlaceOrder { adjustments: Some(adjustments), ..place() }).order();
    assert_eq!(order.total(), cents(5200));
}

#[test]
fn discounts_may_bring_the_total_to_nothing_but_not_below() {
    let discounted = |amount| PlaceOrder {
        adjustments: Some(vec![adjustment(AdjustmentKind::Discount, amount)]),
        ..place()
    };
    assert_eq!(given([]).when(discounted(-5000)).order().total(), Cents::ZERO);
    given([])
        .when(discounted(-5001))
        .then_refused(OrderError::InvalidTotal("discounts must not be more than lines and charges together"));
}

#[test]
fn a_total_beyond_the_largest_amount_is_refused_not_wrapped() {
    let too_much = place_lines([line("a", 1_000_000, MAX_CENTS)]);
    given([]).when(too_much).then_refused(MoneyError.into());
    let just_too_much = place_lines([line("a", 1, MAX_CENTS), line("b", 1, 1)]);
    given([]).when(just_too_much).then_refused(MoneyError.into());
    assert_eq!(given([]).when(place_lines([line("a", 1, MAX_CENTS)])).order().total(), cents(MAX_CENTS));
}

#[test]
fn the_same_placement_again_changes_nothing() {
    given([placed()]).when(place()).then_nothing();
    given([placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])]).when(place()).then_nothing();
}

#[test]
fn a_repetition_may_leave_out_what_it_gave_and_give_what_was_the_default() {
    let full = PlaceOrder {
        currency: Some(Currency::EUR),
        metadata: Some(Metadata::new([("k", "v"), ("l", "w")]).unwrap()),
        adjustments: Some(vec![adjustment(AdjustmentKind::Fee, 1)]),
        ..place()
    };
    given([placed_by(full.clone())]).when(place()).then_nothing();
    given([placed()]).when(PlaceOrder { currency: Some(Currency::USD), ..place() }).then_nothing();
    let other_order = Metadata::new([("l", "w"), ("k", "v")]).unwrap();
    given([placed_by(full.clone())]).when(PlaceOrder { metadata: Some(other_order), ..full }).then_nothing();
}

#[test]
fn a_repetition_without_a_currency_matches_even_when_the_shops_default_has_changed() {
    let moved = PlaceOrder { default_currency: Currency::EUR, ..place() };
    given([placed()]).when(moved.clone()).then_nothing();
    assert_eq!(given([]).when(moved).order().currency(), Currency::EUR);
}

#[test]
fn an_id_that_is_taken_by_another_placement_is_refused() {
    let others = [
        PlaceOrder { customer_id: CustomerId::new("cust-2").unwrap(), ..place() },
        PlaceOrder { currency: Some(Currency::EUR), ..place() },
        PlaceOrder { adjustments: Some(vec![adjustment(AdjustmentKind::Tax, 0)]), ..place() },
        PlaceOrder { metadata: Some(Metadata::new([("k", "v")]).unwrap()), ..place() },
        place_lines([line("sku-1", 2, 1500)]),
        place_lines([line("sku-1", 3, 1500), line("sku-2", 1, 2000)]),
        place_lines([line("sku-1", 2, 1501), line("sku-2", 1, 2000)]),
        place_lines([line("sku-2", 1, 2000), line("sku-1", 2, 1500)]),
    ];
    for other in others {
        given([placed()]).when(other).then_refused(OrderError::IdReused { kind: IdKind::Order });
    }
}
