//! `Idempotency-Key`: a request that is sent again is answered as the first time.

use std::sync::Arc;

use order_api::ApiConfig;

use crate::harness::{Answer, Harness, order_body};
use crate::stuck_store::Stuck;

const ORDER: &str =
    r#"{"customer_id":"cust-123","items":[{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500}]}"#;
const PAYMENT: &str = r#"{"payment_id":"pay-001","amount_cents":1000}"#;

impl Harness {
    async fn post_under(&self, key: &str, path: &str, body: &str) -> Answer {
        self.post_with(path, &[("idempotency-key", key)], body).await
    }
}

#[tokio::test]
async fn a_key_sent_twice_places_one_order() {
    let h = Harness::new();
    let first = h.post_under("k", "/orders", ORDER).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (201, None));
    let location = first.header("location").unwrap();
    for key in ["k", "\"k\""] {
        let again = h.post_under(key, "/orders", ORDER).await.is(201, first.text());
        again.has("idempotent-replayed", "true").has("etag", "\"1\"").has("location", location);
    }
    assert_eq!(h.event_count().await, 1);
    let other = h.post_under("l", "/orders", ORDER).await;
    assert_ne!(other.text(), first.text());
}

#[tokio::test]
async fn a_repetition_has_the_first_etag_and_so_a_retry_with_if_match_is_no_refusal() {
    let h = Harness::with_order().await;
    let headers = [("idempotency-key", "k"), ("if-match", "\"1\"")];
    let path = "/orders/ord-001/hold";
    h.post_with(path, &headers, "{}").await.is(202, r#"{"status":"accepted"}"#).has("etag", "\"2\"");
    h.post("/orders/ord-001/unhold", "{}").await.is(202, r#"{"status":"accepted"}"#);
    let again = h.post_with(path, &headers, "{}").await.is(202, r#"{"status":"accepted"}"#);
    again.has("etag", "\"2\"").has("idempotent-replayed", "true");
    assert_eq!(h.event_count().await, 3);
    h.post_with(path, &[("if-match", "\"1\"")], "{}").await.refuses(412, "version-mismatch");
}

#[tokio::test]
async fn a_key_on_another_route_or_with_another_body_is_refused_before_the_body_is_looked_at() {
    let h = Harness::with_order().await;
    h.place("ord-002").await;
    h.post_under("k", "/orders/ord-001/payment", PAYMENT).await.is(202, r#"{"status":"accepted"}"#);
    for (path, body) in [
        ("/orders/ord-001/payment", r#"{"payment_id":"pay-001","amount_cents":1001}"#),
        ("/orders/ord-001/payment", r#"{"payment_id": "pay-001","amount_cents":1000}"#),
        ("/orders/ord-001/payment", "not JSON"),
        ("/orders/ord-001/payment", r#"{"payment_id":""}"#),
        ("/orders/ord-001/payment?dry_run=false", PAYMENT),
        ("/orders/ord-002/payment", PAYMENT),
        ("/orders/ord-001/reserve", PAYMENT),
        ("/orders", ORDER),
    ] {
        h.post_under("k", path, body).await.refuses(422, "idempotency-key-reused");
    }
    assert_eq!(h.event_count().await, 3);
    let problem = h.post_under("k", "/orders", ORDER).await;
    problem.is(
        422,
        r#"{"type":"/problems/idempotency-key-reused","title":"The key was used for another request","status":422,"detail":"The key was used for another request.","instance":"/orders","code":"idempotency-key-reused"}"#,
    );
}

#[tokio::test]
async fn a_path_that_is_spelled_otherwise_is_the_same_request() {
    let h = Harness::with_order().await;
    h.post_under("k", "/orders/ord-001/payment", PAYMENT).await.is(202, r#"{"status":"accepted"}"#);
    let again = h.post_under("k", "/orders/ord%2D001/payment", PAYMENT).await;
    again.is(202, r#"{"status":"accepted"}"#).has("idempotent-replayed", "true");
}

#[tokio::test]
async fn a_refused_command_and_a_dry_run_leave_the_key_unused() {
    let h = Harness::with_order().await;
    let path = "/orders/ord-001/payment";
    h.post_under("k", path, "{}").await.has_faults(&["/payment_id"]);
    h.post_under("k", path, r#"{"payment_id":"p","amount_cents":3001}"#)
        .await
        .refuses(409, "amount-exceeds-due");
    h.post_under("k", "/orders/ord-009/payment", PAYMENT).await.refuses(404, "order-not-found");
    let tried = h.post_under("k", &format!("{path}?dry_run=true"), PAYMENT).await;
    assert_eq!(tried.status.as_u16(), 200, "{}", tried.text());
    let tried = h.post_under("no key", &format!("{path}?dry_run=true"), PAYMENT).await;
    assert_eq!(tried.status.as_u16(), 200, "{}", tried.text());
    let first = h.post_under("k", path, PAYMENT).await.is(202, r#"{"status":"accepted"}"#);
    assert_eq!(first.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn what_was_done_already_under_its_own_id_is_answered_the_same_under_the_key_ever_after() {
    let h = Harness::with_order().await;
    let path = "/orders/ord-001/payment";
    h.post(path, PAYMENT).await.is(202, r#"{"status":"accepted"}"#);
    h.post_under("k", path, PAYMENT).await.has("etag", "\"2\"").has("idempotent-replayed", "true");
    h.post(path, r#"{"payment_id":"pay-002","amount_cents":1}"#).await.has("etag", "\"3\"");
    h.post_under("k", path, PAYMENT).await.has("etag", "\"2\"").has("idempotent-replayed", "true");
    h.post(path, PAYMENT).await.has("etag", "\"3\"").has("idempotent-replayed", "true");
}

#[tokio::test]
async fn an_unreadable_key_is_refused_and_nothing_happens() {
    let h = Harness::new();
    let long = "k".repeat(256);
    for key in ["", "\"\"", "a b", "\"a", "a,b", &long] {
        h.post_under(key, "/orders", ORDER).await.refuses(400, "idempotency-key-invalid");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    h.post_with("/orders", &twice, ORDER).await.refuses(400, "idempotency-key-invalid");
    assert_eq!(h.event_count().await, 0);
    h.post_under(&long[1..], "/orders", &order_body("ord-001")).await.is(201, r#"{"order_id":"ord-001"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_twin_that_is_still_running_is_told_with_a_time_to_come_back() {
    let h = Harness::with_store(ApiConfig::default(), |_| Arc::new(Stuck));
    let running = h.post_under("k", "/orders", ORDER);
    let twin = async {
        tokio::task::yield_now().await;
        h.post_under("k", "/orders", ORDER).await
    };
    tokio::select! {
        biased;
        _ = running => panic!("the store never answers"),
        twin = twin => {
            let twin = twin.refuses(409, "idempotency-in-progress");
            assert!(twin.has("retry-after", "1").json().get("order_status").is_none());
        }
    }
}
