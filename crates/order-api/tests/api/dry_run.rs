//! What a dry run answers. That it says what then happens, for every command, is held by each test that uses `life`.

use crate::harness::{Harness, order_body};
use crate::life::*;

const PAYMENT: &str = "/orders/ord-001/payment";

#[tokio::test]
async fn a_dry_run_tells_the_events_and_the_order_after_them_byte_for_byte() {
    let h = Harness::with_order().await;
    let answer =
        h.post(&format!("{PAYMENT}?dry_run=true"), r#"{"payment_id":"p","amount_cents":1000}"#).await;
    let would_be = concat!(
        r#"{"events":[{"type":"order.payment_authorized.v1","data":{"payment_id":"p","amount_cents":1000}}],"order":"#,
        r#"{"OrderID":"ord-001","CustomerID":"cust-123","Status":"placed","TotalCents":3000,"LastUpdated":1764917328,"#,
        r#""Currency":"USD","Version":2,"OnHold":false,"PlacedAt":"2025-12-05T06:48:48.000000Z","UpdatedAt":"2025-12-05T06:48:48.000000Z","#,
        r#""Lines":[{"Line":1,"SKU":"sku-1","UnitPriceCents":1500,"Ordered":2,"Cancelled":0,"Reserved":0,"Shipped":0,"Delivered":0,"Returned":0}],"#,
        r#""Adjustments":[],"Payments":[{"PaymentID":"p","AuthorizedCents":1000,"VoidedCents":0,"CapturedCents":0,"RefundedCents":0}],"#,
        r#""Reservations":[],"Shipments":[],"Returns":[],"DueCents":3000,"AuthorizedCents":1000,"VoidedCents":0,"CapturedCents":0,"#,
        r#""RefundedCents":0,"RefundDueCents":0,"Metadata":{}}}"#,
    );
    answer.is(200, would_be).has("content-type", "application/json");
    let order = h.get("/orders/ord-001?view=full").await.json();
    assert_eq!((&order["Version"], h.event_count().await), (&1.into(), 1));
}

#[tokio::test]
async fn a_placement_may_be_tried_and_an_id_that_was_made_for_it_is_not_kept() {
    let h = Harness::new();
    let nameless = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":5}]}"#;
    let tried = h.post("/orders?dry_run=true", nameless).await;
    assert_eq!((tried.status.as_u16(), tried.header("location")), (200, None));
    let order_id = tried.json()["order"]["OrderID"].as_str().unwrap().to_owned();
    h.get(&format!("/orders/{order_id}")).await.refuses(404, "order-not-found");
    let named = order_body("ord-001");
    let tried = h.post("/orders?dry_run=true", &named).await.json();
    assert_eq!(tried["events"][0]["type"], "order.placed.v1");
    assert_eq!(h.event_count().await, 0);
    h.place("ord-001").await;
    assert_eq!(tried["order"], h.get("/orders/ord-001?view=full").await.json());
    let again = h.post("/orders?dry_run=true", &named).await.json();
    assert_eq!((&again["events"], &again["order"]), (&serde_json::json!([]), &tried["order"]));
    let other = named.replace("1500", "1501");
    h.post("/orders?dry_run=true", &other).await.refuses(409, "id-reused");
    assert_eq!(h.event_count().await, 1);
}

#[tokio::test]
async fn a_dry_run_is_asked_for_by_true_once() {
    let h = Harness::with_order().await;
    for query in ["dry_run", "dry_run=", "dry_run=1", "dry_run=True", "dry_run=yes", "dry_run=%20true"] {
        h.post(&format!("{PAYMENT}?{query}"), r#"{"payment_id":"p"}"#).await.has_faults(&["dry_run"]);
    }
    for query in ["dry_run=true&dry_run=true", "dry_run=false&dry_run=true"] {
        h.post(&format!("{PAYMENT}?{query}"), r#"{"payment_id":"p"}"#).await.has_faults(&["dry_run"]);
    }
    for query in ["Dry_Run=true", "dryrun=true"] {
        let name = query.strip_suffix("=true").unwrap();
        h.post(&format!("{PAYMENT}?{query}"), r#"{"payment_id":"p"}"#).await.has_faults(&[name]);
    }
    // What is wrong with the body is told with it.
    h.post(&format!("{PAYMENT}?dry_run=1"), r#"{"amount_cents":0.5}"#).await.has_faults(&[
        "dry_run",
        "/payment_id",
        "/amount_cents",
    ]);
    assert_eq!(h.event_count().await, 1);
    h.post(&format!("{PAYMENT}?dry_run=false"), r#"{"payment_id":"p"}"#)
        .await
        .is(202, r#"{"status":"accepted"}"#);
    assert_eq!(h.event_count().await, 2);
}

#[tokio::test]
async fn a_dry_run_is_held_against_if_match_as_the_command_would_be() {
    let h = Harness::with_order().await;
    let path = format!("{PAYMENT}?dry_run=true");
    let body = r#"{"payment_id":"p"}"#;
    h.post_with(&path, &[("if-match", "\"2\"")], body).await.refuses(412, "version-mismatch");
    assert_eq!(h.post_with(&path, &[("if-match", "\"1\"")], body).await.status, 200);
    h.post(PAYMENT, body).await.is(202, r#"{"status":"accepted"}"#);
    // Done already comes first.
    let again = h.post_with(&path, &[("if-match", "\"1\"")], body).await;
    assert_eq!((again.status.as_u16(), again.json()["events"].clone()), (200, serde_json::json!([])));
}

#[tokio::test]
async fn all_events_of_one_command_are_told() {
    let order = order_after([PAID, RESERVED]).await;
    let tried = order.tried("cancel", "{}").await.json();
    assert_eq!(
        tried["events"],
        serde_json::json!([
            {"type": "order.reservation_released.v1", "data": {"cause": "cancelled", "reservations": [
                {"reservation_id": "r", "units": [{"line": 1, "quantity": 2}, {"line": 2, "quantity": 1}]},
            ]}},
            {"type": "order.cancelled.v1",
                "data": {"units": [{"line": 1, "quantity": 2}, {"line": 2, "quantity": 1}]}},
            {"type": "order.payment_voided.v1",
                "data": {"cause": "cancelled", "shares": [{"payment_id": "p", "amount_cents": 5000}]}},
        ])
    );
    assert_eq!((&tried["order"]["Status"], &tried["order"]["Version"]), (&"cancelled".into(), &6.into()));
}
