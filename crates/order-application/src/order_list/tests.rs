use order_domain::{CustomerId, OrderId, Sku};

use super::*;
use crate::event::Version;
use crate::projection::{Unreadable, UnreadableOrder};

fn order() -> OrderSummary {
    OrderSummary {
        order_id: OrderId::new("ord-1").unwrap(),
        customer_id: CustomerId::new("cust-1").unwrap(),
        status: Status::Placed,
        total: Cents::new(100).unwrap(),
        version: Version(1),
        placed_at: Timestamp::from_micros(10),
        updated_at: Timestamp::from_micros(20),
        due_at: None,
        on_hold: false,
    }
}

fn range(after: impl Into<Option<i64>>, before: impl Into<Option<i64>>) -> TimeRange {
    let time = |micros: Option<i64>| micros.map(Timestamp::from_micros);
    TimeRange { after: time(after.into()), before: time(before.into()) }
}

fn cents(cents: i64) -> Option<Cents> {
    Some(Cents::new(cents).unwrap())
}

#[test]
fn each_condition_is_one_that_an_order_may_fail() {
    let any = OrderFilter::default;
    let met = [
        any(),
        OrderFilter { statuses: [Status::Placed, Status::Shipped].into(), ..any() },
        OrderFilter { placed: range(9, 11), updated: range(19, 21), ..any() },
        OrderFilter { min_total: cents(100), max_total: cents(100), on_hold: Some(false), ..any() },
    ];
    let failed = [
        OrderFilter { statuses: [Status::Shipped].into(), ..any() },
        OrderFilter { placed: range(10, None), ..any() },
        OrderFilter { placed: range(None, 10), ..any() },
        OrderFilter { updated: range(20, None), ..any() },
        OrderFilter { updated: range(None, 20), ..any() },
        OrderFilter { min_total: cents(101), ..any() },
        OrderFilter { max_total: cents(99), ..any() },
        OrderFilter { on_hold: Some(true), ..any() },
    ];
    assert!(met.iter().all(|filter| filter.accepts(&order())));
    for filter in &failed {
        assert!(!filter.accepts(&order()), "{filter:?}");
    }
    let mut prints: Vec<_> =
        met.iter().chain(&failed).map(|filter| *filter.fingerprint().as_bytes()).collect();
    prints.push(
        *OrderFilter { terms: [SearchTerm::Sku(Sku::new("s").unwrap())].into(), ..any() }
            .fingerprint()
            .as_bytes(),
    );
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 13, "no two filters have the same fingerprint");
}

#[test]
fn a_page_tells_where_the_next_begins_only_if_there_is_one() {
    let query = ListQuery { limit: 2, ..ListQuery::default() };
    let mut page = PageBuilder::new(&query);
    let unreadable =
        UnreadableOrder { order_id: order().order_id, version: Version(1), why: Unreadable::Newer };
    assert!(page.add(Position(1), Some(OrderView::Readable(order()))).is_continue());
    assert!(page.add(Position(2), Some(OrderView::Unreadable(unreadable.clone()))).is_continue());
    let full = OrderPage {
        orders: vec![ListedOrder { place: Position(1), summary: order(), left_out_before: 0 }],
        left_out: 1,
        next: None,
    };
    assert_eq!(page.page, full);
    assert!(page.add(Position(3), None).is_break());
    assert_eq!(page.finish(), OrderPage { next: Some(Position(2)), ..full });
    // With a filter, nobody can tell whether it belongs.
    let filter = OrderFilter { on_hold: Some(false), ..OrderFilter::default() };
    let query = ListQuery { filter, ..query };
    let mut page = PageBuilder::new(&query);
    assert!(page.add(Position(2), Some(OrderView::Unreadable(unreadable))).is_continue());
    assert!(page.add(Position(3), None).is_continue());
    assert!(page.add(Position(4), Some(OrderView::Readable(order()))).is_continue());
    let listed = ListedOrder { place: Position(4), summary: order(), left_out_before: 1 };
    assert_eq!(page.finish(), OrderPage { orders: vec![listed], left_out: 1, next: None });
}

#[test]
fn a_page_ends_when_enough_rows_were_looked_at() {
    let query = ListQuery { limit: 2, ..ListQuery::default() };
    let mut page = PageBuilder::new(&query);
    for place in 1..MAX_EXAMINED as u64 {
        assert!(page.pass(Position(place)).is_continue());
    }
    let last = Position(MAX_EXAMINED as u64);
    assert!(page.add(last, Some(OrderView::Readable(order()))).is_break());
    let page = page.finish();
    assert_eq!((page.orders.len(), page.next), (1, Some(last)));
}

#[test]
fn a_sort_is_known_by_its_name() {
    for sort in Sort::ALL {
        assert_eq!(Sort::from_name(sort.as_str()), Some(sort));
    }
    assert_eq!(Sort::from_name("status"), None);
}

#[test]
fn what_comes_after_is_what_the_sort_says() {
    for sort in Sort::ALL {
        assert!(!sort.is_after(Position(1), Position(1)));
        assert_eq!(sort.is_after(Position(2), Position(1)), !sort.descending);
        assert_eq!(sort.is_after(Position(1), Position(2)), sort.descending);
    }
}
