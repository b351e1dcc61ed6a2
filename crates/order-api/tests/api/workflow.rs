use crate::harness::Harness;

#[tokio::test]
async fn the_fixed_workflow_is_answered_byte_for_byte() {
    let h = Harness::new();
    h.get("/health").await.is(200, r#"{"status":"ok"}"#).has("content-type", "application/json");
    h.get("/orders").await.is(200, "[]");

    let body = r#"{"order_id":"ord-001","customer_id":"cust-123","items":[{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500}]}"#;
    h.post("/orders", body)
        .await
        .is(201, r#"{"order_id":"ord-001"}"#)
        .has("content-type", "application/json")
        .has("location", "/orders/ord-001")
        .has("etag", "\"1\"");
    for (version, (step, body)) in (2..).zip(STEPS) {
        h.post(&format!("/orders/ord-001/{step}"), body)
            .await
            .is(202, r#"{"status":"accepted"}"#)
            .has("content-type", "application/json")
            .has("etag", &format!("\"{version}\""));
    }

    let order = r#"{"OrderID":"ord-001","CustomerID":"cust-123","Status":"shipped","TotalCents":3000,"LastUpdated":1764917328}"#;
    h.get("/orders").await.is(200, &format!("[{order}]")).has("content-type", "application/json");
    h.get("/orders/ord-001")
        .await
        .is(200, order)
        .has("content-type", "application/json")
        .has("etag", "\"4\"");
}

#[tokio::test]
async fn every_step_can_be_repeated_and_changes_nothing() {
    let h = Harness::with_order().await;
    for (step, body) in STEPS {
        h.post(&format!("/orders/ord-001/{step}"), body).await.is(202, r#"{"status":"accepted"}"#);
    }
    assert_eq!(h.event_count().await, 4);
    h.place("ord-001").await;
    for (step, body) in STEPS {
        // Neither the state nor a precondition that has become stale turns a repetition into a refusal.
        h.post_with(&format!("/orders/ord-001/{step}"), &[("if-match", "\"1\"")], body)
            .await
            .is(202, r#"{"status":"accepted"}"#)
            .has("etag", "\"4\"");
    }
    assert_eq!(h.event_count().await, 4);
}

const STEPS: [(&str, &str); 3] = [
    ("payment", r#"{"payment_id":"pay-001","amount_cents":3000}"#),
    ("reserve", r#"{"reservation_id":"res-001"}"#),
    ("ship", r#"{"tracking_number":"1Z999","carrier":"UPS"}"#),
];
