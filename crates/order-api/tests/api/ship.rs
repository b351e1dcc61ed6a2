use crate::harness::Harness;

const PATH: &str = "/orders/o/ship";

/// Two lines of one SKU and one of another, paid and reserved.
async fn reserved() -> Harness {
    let h = Harness::new();
    let body = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":2,"UnitPriceCents":1},
        {"SKU":"b","Quantity":1,"UnitPriceCents":1},{"SKU":"a","Quantity":3,"UnitPriceCents":1}]}"#;
    h.post("/orders", body).await.is(201, r#"{"order_id":"o"}"#);
    h.post("/orders/o/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h.post("/orders/o/reserve", r#"{"reservation_id":"r"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h
}

fn parcel(items: &str) -> String {
    format!(r#"{{"tracking_number":"t","carrier":"UPS","items":[{items}]}}"#)
}

#[tokio::test]
async fn an_order_may_leave_in_parcels() {
    let h = reserved().await;
    let items = r#"{"sku":"a","quantity":3},{"line":2,"Quantity":1}"#;
    h.post(PATH, &parcel(items)).await.is(202, r#"{"status":"accepted"}"#);
    let order = h.get("/orders/o?view=full").await.json();
    assert_eq!(order["Status"], "partially_shipped");
    assert_eq!(
        order["Shipments"],
        serde_json::json!([{"TrackingNumber": "t", "Carrier": "UPS", "State": "under_way", "Units": [
            {"Line": 1, "ReservationID": "r", "Quantity": 2},
            {"Line": 2, "ReservationID": "r", "Quantity": 1},
            {"Line": 3, "ReservationID": "r", "Quantity": 1},
        ]}])
    );
    // The same parcel, named otherwise, is a repetition; another one is not.
    h.post(PATH, &parcel(r#"{"SKU":"b","Quantity":1},{"SKU":"a","Quantity":3}"#)).await.has("etag", "\"4\"");
    h.post(PATH, &parcel(r#"{"SKU":"a","Quantity":3}"#)).await.refuses(409, "id-reused");
    h.post(PATH, r#"{"tracking_number":"u","carrier":"UPS"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h.post(PATH, r#"{"tracking_number":"v","carrier":"UPS"}"#).await.refuses(409, "invalid-transition");
}

#[tokio::test]
async fn what_the_order_does_not_have_cannot_be_shipped() {
    let h = reserved().await;
    h.post(PATH, &parcel(r#"{"Line":4,"Quantity":1}"#)).await.refuses(422, "unknown-reference");
    h.post(PATH, &parcel(r#"{"SKU":"z","Quantity":1}"#)).await.refuses(422, "unknown-reference");
    h.post(PATH, &parcel(r#"{"SKU":"a","Quantity":6}"#)).await.refuses(409, "quantity-exceeds-available");
    assert_eq!(h.event_count().await, 3);
}

#[tokio::test]
async fn units_are_named_by_line_or_by_sku() {
    let h = reserved().await;
    let items = r#"{"Quantity":1},{"SKU":"a","Line":1,"Quantity":1},{"Line":0,"Quantity":1},{"Line":1001,"Quantity":1},
        {"Line":1},{"SKU":5,"Quantity":1},null"#;
    h.post(PATH, &parcel(items)).await.has_faults(&[
        "/items/0/SKU",
        "/items/1/Line",
        "/items/2/Line",
        "/items/3/Line",
        "/items/4/Quantity",
        "/items/5/SKU",
        "/items/6",
    ]);
    h.post(PATH, &parcel("")).await.has_faults(&["/items"]);
    h.post(PATH, "{}").await.has_faults(&["/tracking_number", "/carrier"]);
}
