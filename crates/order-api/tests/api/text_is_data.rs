use serde_json::json;

use crate::harness::Harness;

const TEXTS: [&str; 10] = [
    "'; DROP TABLE orders; --",
    "\" OR \"\"=\"",
    "<script>alert(1)</script>",
    "\\\",\"Status\":\"shipped\",\"x\":\"",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "%00%0d%0aSet-Cookie: a=b",
    "日本語 🙂 \u{202e}rtl",
    "{{7*7}}",
    "&amp;\u{2028}\u{feff}",
];

#[tokio::test]
async fn text_comes_back_as_it_was_given() {
    let h = Harness::new();
    for (index, text) in TEXTS.into_iter().enumerate() {
        let id = format!("o{index}");
        let place = json!({"order_id": id, "customer_id": text, "items": [{"SKU": text, "Quantity": 1, "UnitPriceCents": 1}],
            "adjustments": [{"kind": "fee", "label": text, "amount_cents": 1}], "metadata": {text: text}});
        h.post("/orders", &place.to_string()).await.is(201, &format!(r#"{{"order_id":"{id}"}}"#));
        for (step, body) in [
            ("payment", json!({"payment_id": text})),
            ("reserve", json!({"reservation_id": text})),
            ("ship", json!({"tracking_number": text, "carrier": text})),
        ] {
            h.post(&format!("/orders/{id}/{step}"), &body.to_string())
                .await
                .is(202, r#"{"status":"accepted"}"#);
        }
        assert_eq!(h.get(&format!("/orders/{id}")).await.json()["CustomerID"], text);
        let full = h.get(&format!("/orders/{id}?view=full")).await.json();
        for shown in [
            &full["CustomerID"],
            &full["Lines"][0]["SKU"],
            &full["Adjustments"][0]["Label"],
            &full["Metadata"][text],
            &full["Payments"][0]["PaymentID"],
            &full["Reservations"][0]["ReservationID"],
            &full["Shipments"][0]["TrackingNumber"],
            &full["Shipments"][0]["Carrier"],
            &full["Shipments"][0]["Units"][0]["ReservationID"],
        ] {
            assert_eq!(shown, text, "{full}");
        }
        let events = h.get(&format!("/orders/{id}/events")).await.json();
        assert_eq!(events[0]["data"]["customer_id"], text);
        assert_eq!(events[3]["data"]["carrier"], text);
    }
    assert_eq!(h.get("/orders").await.json().as_array().unwrap().len(), TEXTS.len());
}

#[tokio::test]
async fn text_in_refusals_is_data_as_well() {
    let h = Harness::with_order().await;
    let place = json!({"customer_id": "c", "items": [{"SKU": "s", "Quantity": 1, "UnitPriceCents": 1}], "metadata": {"\"},\"x\":{\"": 1}});
    h.post("/orders", &place.to_string()).await.has_faults(&["/metadata/\"},\"x\":{\""]);
    h.get("/orders?%22%7D=1").await.has_faults(&["\"}"]);
    let refused = h.get("/%22%5C/'{x}'?a='b'").await.refuses(404, "not-found").json();
    assert_eq!(refused["instance"], "/%22%5C/'{x}'");
}
