use crate::harness::{Answer, Harness};

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
    assert_eq!(positions(&h.get("/events?after=1&limit=2").await), [2, 3]);
    h.get("/events?after=5").await.is(200, "[]");
    h.get("/events?after=99").await.is(200, "[]");
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
    ] {
        assert_eq!(positions(&h.get(&format!("/events?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn one_orders_part_of_the_log_may_be_longer_than_a_page() {
    let h = Harness::new();
    h.place("a").await;
    for id in 2..=1_050 {
        let body = format!(r#"{{"payment_id":"p{id}","amount_cents":1}}"#);
        h.post("/orders/a/payment", &body).await.is(202, r#"{"status":"accepted"}"#);
    }
    let rest: Vec<_> = (1_041..=1_050).collect();
    assert_eq!(positions(&h.get("/events?order_id=a&after=1040").await), rest);
}

#[tokio::test]
async fn parameters_are_known_single_and_in_range() {
    let h = Harness::new();
    h.get("/events?after=x&limit=0&type=x&order_id=a%2Fb&cursor=1")
        .await
        .has_faults(&["after", "limit", "type", "order_id", "cursor"]);
}
