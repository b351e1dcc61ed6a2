use crate::harness::Harness;

const PATH: &str = "/orders/ord-001/payment";

#[tokio::test]
async fn an_amount_left_out_is_what_is_not_covered() {
    let h = Harness::with_order().await;
    h.post(PATH, r#"{"payment_id":"a","amount_cents":1000}"#).await.is(202, r#"{"status":"accepted"}"#);
    h.post(PATH, r#"{"payment_id":"b"}"#).await.is(202, r#"{"status":"accepted"}"#);
    let order = h.get("/orders/ord-001?view=full").await.json();
    assert_eq!(order["Payments"][1]["AuthorizedCents"], 2000);
    h.post(PATH, r#"{"payment_id":"c"}"#).await.refuses(409, "invalid-transition");
}

#[tokio::test]
async fn more_than_is_due_is_refused_with_what_the_order_is() {
    let h = Harness::with_order().await;
    h.post(PATH, r#"{"payment_id":"a","amount_cents":3001}"#).await.is(
        409,
        r#"{"type":"/problems/amount-exceeds-due","title":"The amount is more than what is due","status":409,"detail":"3001 is more than the 3000 that is due and not covered yet.","instance":"/orders/ord-001/payment","code":"amount-exceeds-due","order_status":"placed","version":1,"allowed_actions":["payment","decline","cancel","hold"]}"#,
    );
}

#[tokio::test]
async fn zero_is_only_for_orders_that_cost_nothing() {
    let h = Harness::with_order().await;
    h.post(PATH, r#"{"payment_id":"a","amount_cents":0}"#).await.has_faults(&["/amount_cents"]);
    let free =
        r#"{"order_id":"free","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":0}]}"#;
    h.post("/orders", free).await.is(201, r#"{"order_id":"free"}"#);
    h.post("/orders/free/payment", r#"{"payment_id":"a","amount_cents":0}"#)
        .await
        .is(202, r#"{"status":"accepted"}"#);
}

#[tokio::test]
async fn faults_are_told_at_once() {
    let h = Harness::with_order().await;
    h.post(PATH, r#"{"amount_cents":-1}"#).await.has_faults(&["/payment_id", "/amount_cents"]);
    for amount in [
        "1.5",
        "1e-2",
        "1e16",
        "9007199254740992",
        "9007199254740992.0",
        "18446744073709551616",
        "\"5\"",
        "[]",
    ] {
        let body = format!(r#"{{"payment_id":"a","amount_cents":{amount}}}"#);
        h.post(PATH, &body).await.has_faults(&["/amount_cents"]);
    }
}

#[tokio::test]
async fn a_used_id_with_another_amount_is_taken() {
    let h = Harness::with_order().await;
    h.post(PATH, r#"{"payment_id":"a","amount_cents":1}"#).await.is(202, r#"{"status":"accepted"}"#);
    h.post(PATH, r#"{"payment_id":"a","amount_cents":2}"#).await.refuses(409, "id-reused");
    h.post(PATH, r#"{"payment_id":"a"}"#).await.is(202, r#"{"status":"accepted"}"#).has("etag", "\"2\"");
}

#[tokio::test]
async fn if_match_refuses_once_the_order_moved_on() {
    let h = Harness::with_order().await;
    let send = async |tag: &str, id: &str| {
        let body = format!(r#"{{"payment_id":"{id}","amount_cents":1}}"#);
        h.post_with(PATH, &[("if-match", tag)], &body).await
    };
    send("\"1\"", "a").await.is(202, r#"{"status":"accepted"}"#).has("etag", "\"2\"");
    let refused = send("\"1\"", "b").await.refuses(412, "version-mismatch").json();
    assert_eq!((&refused["version"], &refused["order_status"]), (&2.into(), &"placed".into()));
    for stale in ["\"a,b\"", "\"1,2\"", "W/\"2\"", "\"02\"", "\"abc\"", "\"1\", \"3\""] {
        send(stale, "b").await.refuses(412, "version-mismatch");
    }
    send("2", "b").await.has_faults(&["If-Match"]);
    send("\"1\" , \"2\"", "b").await.is(202, r#"{"status":"accepted"}"#);
    send("*", "c").await.is(202, r#"{"status":"accepted"}"#).has("etag", "\"4\"");
}
