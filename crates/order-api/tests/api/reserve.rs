use crate::harness::Harness;

const PATH: &str = "/orders/ord-001/reserve";

async fn paid() -> Harness {
    let h = Harness::with_order().await;
    h.post("/orders/ord-001/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h
}

#[tokio::test]
async fn what_is_not_paid_is_not_reserved() {
    let h = Harness::with_order().await;
    let refused = h.post(PATH, r#"{"reservation_id":"r"}"#).await.refuses(409, "invalid-transition").json();
    assert_eq!(refused["allowed_actions"], serde_json::json!(["payment", "decline", "cancel", "hold"]));
}

#[tokio::test]
async fn a_reservation_may_expire() {
    let h = paid().await;
    h.post(PATH, r#"{"reservation_id":"r","expires_in_seconds":60}"#)
        .await
        .is(202, r#"{"status":"accepted"}"#);
    let order = h.get("/orders/ord-001?view=full").await.json();
    assert_eq!(order["Reservations"][0]["ExpiresAt"], "2025-12-05T06:49:48.000000Z");
    h.post(PATH, r#"{"reservation_id":"r","expires_in_seconds":61}"#).await.refuses(409, "id-reused");
    h.post(PATH, r#"{"reservation_id":"s"}"#).await.refuses(409, "invalid-transition");
}

#[tokio::test]
async fn its_life_is_between_a_second_and_a_year() {
    let h = paid().await;
    for seconds in ["0", "31536001", "-1", "1.5", "\"60\"", "99999999999"] {
        let body = format!(r#"{{"reservation_id":"r","expires_in_seconds":{seconds}}}"#);
        h.post(PATH, &body).await.has_faults(&["/expires_in_seconds"]);
    }
    h.post(PATH, "{}").await.has_faults(&["/reservation_id"]);
    h.post(PATH, r#"{"reservation_id":"r","expires_in_seconds":31536000}"#)
        .await
        .is(202, r#"{"status":"accepted"}"#);
}
