use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use order_api::ApiConfig;
use order_application::ServiceLimits;

use crate::harness::{Answer, Harness};
use crate::stuck_store::Stuck;

fn positions(answer: &Answer) -> Vec<u64> {
    let page = answer.json();
    page.as_array()
        .unwrap()
        .iter()
        .map(|event| event["position"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// Positions 1 to 5: a placed, b placed, a paid, b paid, a reserved.
async fn two_orders() -> Harness {
    let h = Harness::new();
    for id in ["a", "b"] {
        h.place(id).await;
    }
    for id in ["a", "b"] {
        h.post(&format!("/orders/{id}/payment"), r#"{"payment_id":"p"}"#)
            .await
            .is(202, r#"{"status":"accepted"}"#);
    }
    h.post("/orders/a/reserve", r#"{"reservation_id":"r"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h
}

#[tokio::test]
async fn the_log_is_read_in_pages_from_any_position() {
    let h = two_orders().await;
    let all = h.get("/events").await.has("content-type", "application/cloudevents-batch+json");
    assert_eq!(positions(&all), [1, 2, 3, 4, 5]);
    let page = h.get("/events?after=1&limit=2").await;
    assert_eq!(positions(&page), [2, 3]);
    page.has("link", r#"</events?after=3&limit=2>; rel="next""#);
    let rest = h.get("/events?after=3&limit=2").await;
    assert_eq!((positions(&rest), rest.header("link")), (vec![4, 5], None));
    let end = h
        .get("/events?after=5")
        .await
        .is(200, "[]")
        .has("content-type", "application/cloudevents-batch+json");
    assert_eq!(end.header("link"), None);
    h.get_with("/events?after=5", &[("accept", "application/json")])
        .await
        .is(200, "[]")
        .has("content-type", "application/cloudevents-batch+json");
}

/// However large the number is: 2^63, 2^64 - 1, and what no 64 bits hold.
#[tokio::test]
async fn a_position_beyond_the_end_of_the_log_is_refused() {
    let h = two_orders().await;
    let huge = "9".repeat(1_000);
    for after in [
        "6",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        &huge,
    ] {
        let problem = concat!(
            r#"{"type":"/problems/position-ahead","title":"The position is beyond the log's end","status":409,"#,
            r#""detail":"The log ends at position 5.","instance":"/events","code":"position-ahead","last_position":5}"#,
        );
        for filter in ["", "&type=order.placed.v1", "&order_id=a", "&order_id=nobody"] {
            h.get(&format!("/events?after={after}{filter}")).await.is(409, problem);
        }
    }
    let empty = Harness::new();
    empty.get("/events?after=0").await.is(200, "[]");
    let answer = empty.get("/events?after=1").await.refuses(409, "position-ahead");
    assert_eq!(answer.json()["last_position"], 0);
}

#[tokio::test]
async fn the_log_is_filtered_by_type_and_order() {
    let h = two_orders().await;
    for (query, expected) in [
        ("type=order.placed.v1", &[1, 2][..]),
        ("type=order.placed.v1&type=order.inventory_reserved.v1", &[1, 2, 5]),
        ("type=order.payment_authorized.v1&limit=1&after=3", &[4]),
        ("order_id=a", &[1, 3, 5]),
        ("order_id=a&after=1&limit=1", &[3]),
        ("order_id=a&after=3&limit=1", &[5]),
        ("order_id=a&after=4", &[5]),
        ("order_id=a&after=5", &[]),
        ("order_id=b&type=order.payment_authorized.v1", &[4]),
        ("order_id=nobody", &[]),
        ("type=order.exploded.v7", &[]),
        ("type=order.exploded.v7&type=order.placed.v1", &[1, 2]),
    ] {
        assert_eq!(positions(&h.get(&format!("/events?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn the_link_of_a_filtered_page_goes_on_where_the_page_has_looked() {
    let h = Harness::with_limits(ServiceLimits { searched_events: 2, ..ServiceLimits::default() });
    for id in ["a", "b", "c", "d"] {
        h.place(id).await;
    }
    h.post("/orders/a/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    let query = "type=order.exploded.v7&type=order.payment_authorized.v1";
    let mut path = format!("/events?limit=9&{query}");
    for looked_at in [2, 4] {
        let page = h.get(&path).await.is(200, "[]");
        path = format!("/events?after={looked_at}&limit=9&{query}");
        page.has("link", &format!(r#"<{path}>; rel="next""#));
    }
    let page = h.get(&path).await;
    assert_eq!((positions(&page), page.header("link")), (vec![5], None));
    h.get("/events?order_id=a&limit=1&type=order.placed.v1")
        .await
        .has("content-type", "application/cloudevents-batch+json");
    let page = h.get("/events?order_id=a&limit=1").await;
    assert_eq!(positions(&page), [1]);
    page.has("link", r#"</events?after=1&limit=1&order_id=a>; rel="next""#);
}

#[tokio::test]
async fn one_orders_part_of_the_log_may_be_longer_than_a_page() {
    let h = Harness::new();
    h.place("a").await;
    for id in 2..=1_050 {
        let path = if id % 2 == 0 { "/orders/a/hold" } else { "/orders/a/unhold" };
        h.post(path, "{}").await.is(202, r#"{"status":"accepted"}"#);
    }
    let rest: Vec<_> = (1_041..=1_050).collect();
    assert_eq!(positions(&h.get("/events?order_id=a&after=1040").await), rest);
}

#[tokio::test]
async fn parameters_are_known_single_and_in_range() {
    let h = Harness::new();
    h.get("/events?after=x&limit=0&type=x&order_id=a%2Fb&cursor=1&event_names=1").await.has_faults(&[
        "after",
        "limit",
        "type",
        "order_id",
        "cursor",
        "event_names",
    ]);
    for after in ["", "-1", "+1", "1.0", "1e3", "0x1", "%201", "1&after=1"] {
        h.get(&format!("/events?after={after}")).await.has_faults(&["after"]);
    }
    h.get(&format!("/events?{}", "type=a.v1&".repeat(101))).await.has_faults(&["type"]);
    h.get(&format!("/events?{}", "type=a.v1&".repeat(100))).await.is(200, "[]");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_page_behind_others_is_told_after_a_while_to_come_again() {
    /// As many pages as are read at a time.
    const AT_ONCE: usize = 16;
    let h = Harness::with_store(ApiConfig::default(), |_| Arc::new(Stuck));
    let mut reading: Vec<_> = (0..AT_ONCE).map(|_| Box::pin(h.get("/events"))).collect();
    assert!(reading.iter_mut().all(|reading| reading.now_or_never().is_none()));
    let waiting = tokio::time::timeout(Duration::from_secs(10), h.get("/events"));
    let told = waiting.await.expect("nobody waits for ever");
    told.refuses(503, "overloaded").has("retry-after", "1");
}
