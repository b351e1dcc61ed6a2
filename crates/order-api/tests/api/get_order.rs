use std::time::Duration;

use crate::harness::Harness;

#[tokio::test]
async fn the_full_view_is_the_basic_one_and_everything_else() {
    let h = Harness::new();
    let place = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":2,"UnitPriceCents":1500}],
        "adjustments":[{"kind":"tax","label":"VAT","amount_cents":100}],"metadata":{"k":"v"}}"#;
    h.post("/orders", place).await.is(201, r#"{"order_id":"o"}"#);
    h.advance(Duration::from_micros(1_500_001));
    h.post("/orders/o/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h.post("/orders/o/reserve", r#"{"reservation_id":"r","expires_in_seconds":1}"#)
        .await
        .has("etag", "\"3\"");
    h.post("/orders/o/ship", r#"{"tracking_number":"t","carrier":"UPS","items":[{"Line":1,"Quantity":1}]}"#)
        .await
        .has("etag", "\"4\"");
    let basic = r#"{"OrderID":"o","CustomerID":"c","Status":"partially_shipped","TotalCents":3100,"LastUpdated":1764917329"#;
    h.get("/orders/o?view=basic").await.is(200, &format!("{basic}}}")).has("etag", "\"4\"");
    let full = concat!(
        r#","Currency":"USD","Version":4,"OnHold":false,"PlacedAt":"2025-12-05T06:48:48.000000Z","UpdatedAt":"2025-12-05T06:48:49.500001Z","#,
        r#""Lines":[{"Line":1,"SKU":"s","UnitPriceCents":1500,"Ordered":2,"Cancelled":0,"Reserved":1,"Shipped":1,"Delivered":0,"Returned":0}],"#,
        r#""Adjustments":[{"Kind":"tax","Label":"VAT","AmountCents":100}],"#,
        r#""Payments":[{"PaymentID":"p","AuthorizedCents":3100,"VoidedCents":0,"CapturedCents":0,"RefundedCents":0}],"#,
        r#""Reservations":[{"ReservationID":"r","ExpiresAt":"2025-12-05T06:48:50.500001Z","Units":[{"Line":1,"Quantity":1}]}],"#,
        r#""Shipments":[{"TrackingNumber":"t","Carrier":"UPS","State":"under_way","Units":[{"Line":1,"ReservationID":"r","Quantity":1}]}],"Returns":[],"#,
        r#""DueCents":3100,"AuthorizedCents":3100,"VoidedCents":0,"CapturedCents":0,"RefundedCents":0,"RefundDueCents":0,"Metadata":{"k":"v"}}"#,
    );
    h.get("/orders/o?view=full").await.is(200, &format!("{basic}{full}")).has("etag", "\"4\"");
}

#[tokio::test]
async fn an_order_that_the_client_has_is_not_sent_again() {
    let h = Harness::with_order().await;
    h.post("/orders/ord-001/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    for view in ["", "?view=full"] {
        let path = format!("/orders/ord-001{view}");
        for known in ["\"2\"", "W/\"2\"", "*", "\"1\", \"2\"", "\"a,b\",,W/\"2\"", "\"x\" , \"2\" ,"] {
            let answer =
                h.get_with(&path, &[("if-none-match", known)]).await.is(304, "").has("etag", "\"2\"");
            assert_eq!(answer.header("content-type"), None);
        }
        let two_fields = [("if-none-match", "\"1\""), ("if-none-match", "\"2\"")];
        h.get_with(&path, &two_fields).await.is(304, "");
        let whole = h.get(&path).await;
        for other in ["\"1\"", "\"02\"", "\"3\", W/\"1\"", "\"2,2\"", "\"*\"", ""] {
            h.get_with(&path, &[("if-none-match", other)]).await.is(200, whole.text()).has("etag", "\"2\"");
        }
        for broken in ["2", "\"2", "\"2\" \"3\"", "w/\"2\"", "*, \"2\""] {
            h.get_with(&path, &[("if-none-match", broken)]).await.has_faults(&["If-None-Match"]);
        }
        h.get_with(&path.replace("001", "002"), &[("if-none-match", "*")])
            .await
            .refuses(404, "order-not-found");
    }
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_found() {
    let h = Harness::with_order().await;
    for id in ["ord-002", "a%2Fb", "%ff", "a%00b", "..%2f", "%20", "ord-001%0a", &"x".repeat(129)] {
        for view in ["", "?view=full"] {
            h.get(&format!("/orders/{id}{view}")).await.refuses(404, "order-not-found");
        }
        h.get(&format!("/orders/{id}/events")).await.refuses(404, "order-not-found");
        h.post(&format!("/orders/{id}/payment"), r#"{"payment_id":"p"}"#)
            .await
            .refuses(404, "order-not-found");
    }
    // An escaped id is the same id (RFC 3986, 6.2.2.2).
    assert_eq!(h.get("/orders/%6Frd-001").await.status, 200);
}

#[tokio::test]
async fn parameters_are_known_single_and_in_range() {
    let h = Harness::with_order().await;
    h.get("/orders/ord-001?view=all").await.has_faults(&["view"]);
    h.get("/orders/ord-001?view=full&view=full").await.has_faults(&["view"]);
    h.get("/orders/ord-001?view=x&limit=3&a=b").await.has_faults(&["view", "limit", "a"]);
}
