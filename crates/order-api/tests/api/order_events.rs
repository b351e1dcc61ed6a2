use serde_json::Value;

use crate::harness::Harness;

async fn paid() -> Harness {
    let h = Harness::new();
    h.place("other").await;
    h.post_with("/orders", &[("x-correlation-id", "checkout-42")], &crate::harness::order_body("ord-001"))
        .await;
    h.post("/orders/ord-001/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h
}

#[tokio::test]
async fn an_event_is_a_cloud_event_byte_for_byte() {
    let h = paid().await;
    let placed = concat!(
        r#"{"specversion":"1.0","id":"00000000-0000-7000-8000-000000000003","source":"/order-service","type":"order.placed.v1","#,
        r#""subject":"ord-001","time":"2025-12-05T06:48:48.000000Z","datacontenttype":"application/json","position":"2","version":"1","#,
        r#""correlationid":"checkout-42","data":{"customer_id":"cust-123","currency":"USD","total_cents":3000,"#,
        r#""lines":[{"line":1,"sku":"sku-1","quantity":2,"unit_price_cents":1500}]}}"#,
    );
    h.get("/orders/ord-001/events?limit=1")
        .await
        .is(200, &format!("[{placed}]"))
        .has("content-type", "application/cloudevents-batch+json");
    h.get_with("/orders/ord-001/events?type=order.placed.v1", &[("accept", "application/json")])
        .await
        .is(200, &format!("[{placed}]"))
        .has("content-type", "application/cloudevents-batch+json");
}

#[tokio::test]
async fn pages_go_by_version() {
    let h = paid().await;
    let page = h.get("/orders/ord-001/events?after=1").await.json();
    assert_eq!(page.as_array().unwrap().len(), 1);
    assert_eq!((&page[0]["version"], &page[0]["position"]), (&"2".into(), &"3".into()));
    let first = h.get("/orders/ord-001/events?limit=1").await;
    first.has("link", r#"</orders/ord-001/events?after=1&limit=1>; rel="next""#);
    for after in ["2", "3", "9223372036854775808", "18446744073709551615", "18446744073709551616"] {
        let end = h.get(&format!("/orders/ord-001/events?after={after}")).await.is(200, "[]");
        assert_eq!(end.header("link"), None);
    }
    for event_type in ["order.shipped.v1", "order.exploded.v7"] {
        let none = h.get(&format!("/orders/ord-001/events?type={event_type}")).await.is(200, "[]");
        assert_eq!(none.header("link"), None);
    }
    h.get("/orders/nobody/events").await.refuses(404, "order-not-found");
}

#[tokio::test]
async fn parameters_are_known_single_and_in_range() {
    let h = paid().await;
    h.get("/orders/ord-001/events?after=-1&limit=1001&type=order.placed&order_id=x")
        .await
        .has_faults(&["after", "limit", "type", "order_id"]);
}

#[tokio::test]
async fn a_correlation_id_is_taken_over_when_it_is_usable() {
    let h = Harness::new();
    let long = "x".repeat(129);
    let longest = "x".repeat(128);
    let made = "00000000-0000-7000-8000-";
    for (index, (given, kept)) in [
        ("a b", made),
        ("", made),
        ("ü", made),
        (&*long, made),
        (&*longest, &*longest),
        ("a-1:/\"", "a-1:/\""),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("o{index}");
        let answer =
            h.post_with("/orders", &[("x-correlation-id", given)], &crate::harness::order_body(&id)).await;
        assert_eq!(answer.status, 201);
        let events = h.get(&format!("/orders/{id}/events")).await.json();
        let correlation_id = events[0]["correlationid"].as_str().unwrap();
        assert!(correlation_id.starts_with(kept), "{given} became {correlation_id}");
    }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the event says of its trace whose command came with these headers.
async fn trace_of_event(headers: &[(&str, &str)]) -> [Value; 2] {
    let h = Harness::new();
    let placed = h.post_with("/orders", headers, &crate::harness::order_body("ord-001")).await;
    assert_eq!(placed.status, 201, "it is no reason to refuse an order");
    let event = h.get("/orders/ord-001/events").await.json()[0].take();
    ["traceparent", "tracestate"].map(|name| event[name].clone())
}

#[tokio::test]
async fn a_callers_trace_is_kept_with_the_event() {
    let state = ("tracestate", "rojo=00f067aa0ba902b7");
    let kept = [TRACE, state.1].map(Value::from);
    assert_eq!(trace_of_event(&[("traceparent", TRACE), state]).await, kept);
    let two = [("traceparent", TRACE), state, ("tracestate", "congo=t61")];
    assert_eq!(trace_of_event(&two).await, [TRACE, "rojo=00f067aa0ba902b7,congo=t61"].map(Value::from));
    let alone = [Value::from(TRACE), Value::Null];
    assert_eq!(trace_of_event(&[("traceparent", TRACE)]).await, alone);
    let newer = format!("{}-and-more", TRACE.replacen("00", "cc", 1));
    assert_eq!(trace_of_event(&[("traceparent", &newer)]).await, alone);
}

#[tokio::test]
async fn what_is_no_trace_is_ignored() {
    let none = [Value::Null, Value::Null];
    let state = ("tracestate", "rojo=00f067aa0ba902b7");
    let zeros = TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
    for parent in ["", "00", "ü", &TRACE.to_uppercase(), &format!("{TRACE}0"), &zeros] {
        assert_eq!(trace_of_event(&[("traceparent", parent), state]).await, none, "{parent}");
    }
    assert_eq!(trace_of_event(&[state]).await, none);
    assert_eq!(trace_of_event(&[("traceparent", TRACE), ("traceparent", TRACE)]).await, none, "two are none");
    let long = format!("a={}", "b".repeat(511));
    for state in ["", "no list", "ü=ü", &long] {
        let kept = [Value::from(TRACE), Value::Null];
        assert_eq!(trace_of_event(&[("traceparent", TRACE), ("tracestate", state)]).await, kept, "{state}");
    }
}
