//! Which orders a list has, and in which order, by what was done with them.

use std::time::Duration;

use order_api::ApiConfig;
use order_application::traces::CommandTrace;
use order_application::{
    Append, EventContext, LogHistory, NewEvent, OrderSummary, OrderView, SearchTerm, Unreadable,
    UnreadableOrder, Version, codec,
};
use order_domain::{CustomerId, OrderEvent, OrderHeld, OrderId, Timestamp};

use crate::harness::{Harness, START_SECONDS};
use crate::list_orders::{follow, ids, next};

const ACCEPTED: &str = r#"{"status":"accepted"}"#;

/// Places an order of one unit of each SKU at its price.
async fn place(h: &Harness, id: &str, customer: &str, items: &[(&str, u64)]) {
    let item =
        |(sku, price): &(&str, u64)| serde_json::json!({"SKU": sku, "Quantity": 1, "UnitPriceCents": price});
    let items: Vec<_> = items.iter().map(item).collect();
    let body = serde_json::json!({"order_id": id, "customer_id": customer, "items": items});
    h.post("/orders", &body.to_string()).await.is(201, &format!(r#"{{"order_id":"{id}"}}"#));
}

async fn carry_out(h: &Harness, id: &str, command: &str, body: &str) {
    h.post(&format!("/orders/{id}/{command}"), body).await.is(202, ACCEPTED);
}

/// Seven orders, placed at 06:48:48 on 5 December 2025 and each a minute later; then a minute passes before each change.
///
/// | order | customer | SKUs | total | what happened | status |
/// |---|---|---|---|---|---|
/// | o1 | anna | pen | 1000 | nothing | placed |
/// | o2 | anna | ink | 2000 | card-1 declined, card-2 authorised | payment_authorized |
/// | o3 | bert | pen, ink | 1500 | its parcel 1Z1 lost | payment_authorized |
/// | o4 | bert | pen, pad | 1200 | the pad cancelled | placed |
/// | o5 | cara | ink | 2000 | held | placed |
/// | o6 | cara | pen | 1000 | held, and not any more | placed |
/// | o7 | cara | nib | 1 | cancelled | cancelled |
async fn shop() -> Harness {
    let minute = Duration::from_secs(60);
    let h = Harness::new();
    for (id, customer, items) in [
        ("o1", "anna", &[("pen", 1000)][..]),
        ("o2", "anna", &[("ink", 2000)]),
        ("o3", "bert", &[("pen", 1000), ("ink", 500)]),
        ("o4", "bert", &[("pen", 1000), ("pad", 200)]),
        ("o5", "cara", &[("ink", 2000)]),
        ("o6", "cara", &[("pen", 1000)]),
        ("o7", "cara", &[("nib", 1)]),
    ] {
        place(&h, id, customer, items).await;
        h.advance(minute);
    }
    // From 06:55:48 on. The orders' last changes are in the order of 7, 5, 3, 2, 6, 4; o1 is as it was.
    for (id, command, body) in [
        ("o7", "cancel", "{}"),
        ("o6", "hold", "{}"),
        ("o5", "hold", "{}"),
        ("o3", "payment", r#"{"payment_id":"card-3"}"#),
        ("o3", "reserve", r#"{"reservation_id":"r"}"#),
        ("o3", "ship", r#"{"tracking_number":"1Z1","carrier":"UPS"}"#),
        ("o3", "lost", r#"{"tracking_number":"1Z1"}"#),
        ("o2", "payment/decline", r#"{"payment_id":"card-1","reason":"no funds"}"#),
        ("o2", "payment", r#"{"payment_id":"card-2"}"#),
        ("o6", "unhold", "{}"),
        ("o4", "cancel", r#"{"cancellation_id":"c","items":[{"SKU":"pad","Quantity":1}]}"#),
    ] {
        carry_out(&h, id, command, body).await;
        h.advance(minute);
    }
    h
}

#[track_caller]
fn orders(numbers: &str) -> Vec<String> {
    numbers.split_whitespace().map(|number| format!("o{number}")).collect()
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else() {
    let h = shop().await;
    for (filter, found) in [
        ("", "1 2 3 4 5 6 7"),
        ("customer_id=anna", "1 2"),
        ("customer_id=Anna", ""),
        ("customer_id=ann", ""),
        // What was declined, lost or cancelled leads to its order, too.
        ("payment_id=card-1", "2"),
        ("payment_id=card-2", "2"),
        ("payment_id=card", ""),
        ("tracking_number=1Z1", "3"),
        ("tracking_number=1Z2", ""),
        ("sku=pen", "1 3 4 6"),
        ("sku=pad", "4"),
        ("sku=nib", "7"),
        // Each kind of name is looked for among its own.
        ("sku=card-1", ""),
        ("payment_id=r", ""),
        ("status=placed", "1 4 5 6"),
        ("status=cancelled", "7"),
        ("status=completed", ""),
        ("status=cancelled&status=payment_authorized", "2 3 7"),
        ("status=cancelled&status=cancelled", "7"),
        ("on_hold=true", "5"),
        ("on_hold=false", "1 2 3 4 6 7"),
        ("min_total_cents=1500", "2 3 5"),
        ("min_total_cents=1501", "2 5"),
        ("max_total_cents=1000", "1 6 7"),
        ("max_total_cents=999", "7"),
        ("min_total_cents=1000&max_total_cents=1000", "1 6"),
        ("min_total_cents=2&max_total_cents=1", ""),
        ("min_total_cents=0&max_total_cents=9007199254740991", "1 2 3 4 5 6 7"),
        ("placed_after=2025-12-05T06:52:48Z", "6 7"),
        ("placed_after=2025-12-05T06:52:47.999999Z", "5 6 7"),
        ("placed_before=2025-12-05T06:49:48Z", "1"),
        ("placed_before=2025-12-05T06:49:48.000001Z", "1 2"),
        // Digits that no order's time has.
        ("placed_before=2025-12-05T06:49:48.0000001Z", "1 2"),
        ("placed_after=2025-12-05T06:49:48.0000001Z&placed_before=2025-12-05T06:49:49Z", ""),
        ("placed_after=2025-12-05T06:48:48Z&placed_before=2025-12-05T06:50:48Z", "2"),
        ("updated_after=2025-12-05T07:04:48Z", "4"),
        ("updated_after=2025-12-05T07:04:47.999999Z", "4 6"),
        ("updated_before=2025-12-05T06:55:48Z", "1"),
        ("updated_before=2025-12-05T06:55:48.000001Z", "1 7"),
        ("updated_after=2025-12-05T06:55:48Z&updated_before=2025-12-05T07:04:48Z", "2 3 5"),
        ("updated_after=2025-12-05T07:00:00Z&updated_before=2025-12-05T06:00:00Z", ""),
    ] {
        let page = h.get(&format!("/orders?{filter}")).await;
        assert_eq!(ids(&page), orders(found), "{filter}");
        assert_eq!((next(&page), page.header("orders-left-out")), (None, None), "{filter}");
    }
}

#[tokio::test]
async fn filters_combine_to_what_meets_all_of_them() {
    let h = shop().await;
    for (filters, found) in [
        ("customer_id=bert&sku=pad", "4"),
        ("customer_id=bert&sku=nib", ""),
        ("customer_id=bert&sku=pen&payment_id=card-3&tracking_number=1Z1", "3"),
        ("customer_id=anna&payment_id=card-3", ""),
        ("status=placed&status=cancelled&on_hold=false", "1 4 6 7"),
        ("status=placed&customer_id=cara&max_total_cents=1000", "6"),
        ("sku=pen&updated_after=2025-12-05T07:02:00Z&sort=-updated", "4 6"),
        ("sku=pen&placed_before=2025-12-05T06:51:00Z&min_total_cents=1001", "3"),
        ("on_hold=true&status=placed&sku=ink&customer_id=cara&sort=-placed", "5"),
    ] {
        assert_eq!(ids(&h.get(&format!("/orders?{filters}")).await), orders(found), "{filters}");
    }
}

#[tokio::test]
async fn every_sort_has_every_order_once_also_by_what_some_of_them_lack() {
    let h = shop().await;
    for (sort, order) in [
        ("placed", "1 2 3 4 5 6 7"),
        ("-placed", "7 6 5 4 3 2 1"),
        // o1 was never changed: its last event is its placement.
        ("updated", "1 7 5 3 2 6 4"),
        ("-updated", "4 6 2 3 5 7 1"),
    ] {
        for (limit, pages) in [(1, 7), (2, 4), (3, 3), (7, 1), (1000, 1)] {
            let found = follow(&h, &format!("/orders?sort={sort}&limit={limit}")).await;
            assert_eq!(found, (orders(order), pages), "{sort}, {limit}");
        }
        let placed: Vec<_> = order.split(' ').filter(|n| ["1", "4", "5", "6"].contains(n)).collect();
        let found = follow(&h, &format!("/orders?limit=1&status=placed&sort={sort}")).await;
        assert_eq!(found, (orders(&placed.join(" ")), 4), "{sort}");
    }
}

/// Placed at 2026-03-29T22:30Z, which in Berlin is half an hour past midnight.
#[tokio::test]
async fn a_time_is_a_point_in_time_whatever_its_offset() {
    let h = Harness::new();
    h.advance(Duration::from_secs(9_906_072));
    place(&h, "o1", "anna", &[("pen", 1)]).await;
    assert_eq!(h.get("/orders/o1?view=full").await.json()["PlacedAt"], "2026-03-29T22:30:00.000000Z");
    for (name, other) in [("placed_after", "placed_before"), ("updated_after", "updated_before")] {
        for (time, is_earlier) in [
            ("2026-03-30T00:00:00%2B02:00", true),
            // A plus sign that nobody escaped arrives as a space, and is meant all the same.
            ("2026-03-30T00:00:00+02:00", true),
            ("2026-03-29T22:00:00Z", true),
            ("2026-03-29T17:29:59.999999-05:00", true),
            ("2026-03-30T00:00:00Z", false),
            ("2026-03-29T17:30:00.000001-05:00", false),
        ] {
            let found = |is_found| if is_found { orders("1") } else { vec![] };
            assert_eq!(ids(&h.get(&format!("/orders?{name}={time}")).await), found(is_earlier), "{time}");
            assert_eq!(ids(&h.get(&format!("/orders?{other}={time}")).await), found(!is_earlier), "{time}");
        }
        // Neither end belongs.
        for end in [name, other] {
            for time in ["2026-03-29T22:30:00Z", "2026-03-30T00:30:00+02:00", "2026-03-29T22:30:00.000000Z"] {
                assert_eq!(ids(&h.get(&format!("/orders?{end}={time}")).await), orders(""), "{end}={time}");
            }
        }
    }
}

#[tokio::test]
async fn full_views_are_found_as_basic_ones_are() {
    let h = shop().await;
    let (o3, o4) = (h.get("/orders/o3?view=full").await, h.get("/orders/o4?view=full").await);
    let page = h.get("/orders?view=full&customer_id=bert&sort=-updated").await;
    page.is(200, &format!("[{},{}]", o4.text(), o3.text()));
    assert_eq!(follow(&h, "/orders?view=full&customer_id=bert&limit=1").await, (orders("3 4"), 2));
}

/// Puts an event into the store past the service, with a row for the lists that it did not make.
async fn append(h: &Harness, expected_version: Version, event: (&'static str, Box<str>), view: OrderView) {
    let (event_type, data) = event;
    let event = NewEvent {
        id: uuid::Uuid::from_u128(1),
        event_type: event_type.into(),
        time: Timestamp::from_micros((START_SECONDS + 1) * 1_000_000),
        data,
        context: EventContext::stored("{}"),
        source: None,
    };
    let order_id = view.order_id().clone();
    let terms = vec![SearchTerm::Customer(CustomerId::new("anna").unwrap())];
    let events = vec![event];
    let (history, receipt, deadline, trace) = (LogHistory::default(), None, None, CommandTrace::None);
    let append =
        Append { order_id, expected_version, history, events, view, terms, receipt, deadline, trace };
    h.store.append(append).await.unwrap();
}

/// Puts an order into the store of which this release knows only the id and the customer.
async fn place_unreadable(h: &Harness, id: &str) {
    let order_id = OrderId::new(id).unwrap();
    let order = UnreadableOrder { order_id, version: Version(1), why: Unreadable::Newer };
    append(h, Version::NONE, ("order.placed.v9", "{}".into()), OrderView::Unreadable(order)).await;
}

#[tokio::test]
async fn orders_that_cannot_be_read_are_counted_without_a_filter_and_passed_over_with_one() {
    let h = Harness::new();
    place(&h, "o1", "anna", &[("pen", 1)]).await;
    place_unreadable(&h, "newer").await;
    place(&h, "o2", "anna", &[("pen", 1)]).await;
    for sort in ["placed", "-placed", "updated", "-updated"] {
        let found = if sort.starts_with('-') { "2 1" } else { "1 2" };
        for view in ["basic", "full"] {
            let page = h.get(&format!("/orders?sort={sort}&view={view}")).await.has("orders-left-out", "1");
            assert_eq!(ids(&page), orders(found), "{sort}, {view}");
            // Their place on a page is theirs all the same.
            let page = h.get(&format!("/orders?sort={sort}&view={view}&limit=2")).await;
            let page = page.has("orders-left-out", "1");
            assert_eq!(ids(&page), orders(&found[..1]), "{sort}, {view}");
            let last = h.get(&next(&page).unwrap()).await;
            assert_eq!((ids(&last), next(&last)), (orders(&found[2..]), None), "{sort}, {view}");
            assert_eq!(last.header("orders-left-out"), None, "{sort}, {view}");
        }
        for filter in
            ["customer_id=anna", "status=placed", "on_hold=false", "placed_after=1969-01-01T00:00:00Z"]
        {
            let page = h.get(&format!("/orders?sort={sort}&{filter}")).await;
            assert_eq!(ids(&page), orders(found), "{sort}, {filter}");
            assert_eq!(page.header("orders-left-out"), None, "{sort}, {filter}");
        }
    }
}

#[tokio::test]
async fn a_page_that_ends_early_counts_only_what_it_leaves_out_itself() {
    let h = Harness::with_config(ApiConfig { max_page_bytes: 1, ..ApiConfig::default() });
    place(&h, "o1", "anna", &[("pen", 1)]).await;
    place_unreadable(&h, "newer").await;
    place(&h, "o2", "anna", &[("pen", 1)]).await;
    let first = h.get("/orders?view=full").await;
    let second = h.get(&next(&first).unwrap()).await;
    assert_eq!((ids(&first), first.header("orders-left-out")), (orders("1"), None));
    assert_eq!((ids(&second), second.header("orders-left-out")), (orders("2"), Some("1")));
    assert_eq!(next(&second), None);
}

/// It was changed between the reading of the list and its own.
#[tokio::test]
async fn an_order_that_does_not_meet_the_filter_any_more_is_not_shown_as_if_it_did() {
    let h = Harness::new();
    place(&h, "o1", "anna", &[("pen", 1)]).await;
    place(&h, "o2", "anna", &[("pen", 1)]).await;
    let row = h.store.one(&OrderId::new("o1").unwrap()).await.unwrap().unwrap();
    let held = codec::encode(&OrderEvent::OrderHeld(OrderHeld { reason: None }));
    append(&h, Version(1), held, OrderView::Readable(OrderSummary { version: Version(2), ..row })).await;
    assert_eq!(h.get("/orders/o1?view=full").await.json()["OnHold"], true);
    let page = h.get("/orders?on_hold=false&view=full").await;
    assert_eq!((ids(&page), page.header("orders-left-out")), (orders("2"), None));
    assert_eq!(ids(&h.get("/orders?view=full").await), orders("1 2"));
}
