use crate::harness::Harness;

#[tokio::test]
async fn a_placement_without_an_id_gets_one() {
    let h = Harness::new();
    let body = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":5}]}"#;
    h.post("/orders", body)
        .await
        .is(201, r#"{"order_id":"00000000-0000-7000-8000-000000000001"}"#)
        .has("location", "/orders/00000000-0000-7000-8000-000000000001");
}

#[tokio::test]
async fn adjustments_currency_and_metadata_are_part_of_the_order() {
    let h = Harness::new();
    let body = r#"{"order_id":"o","customer_id":"c","currency":"EUR",
        "items":[{"sku":"s","quantity":2,"unit_price_cents":1000},{"SKU":"t","Quantity":1,"unitPriceCents":0}],
        "adjustments":[{"kind":"shipping","label":"Express","amount_cents":490},
            {"kind":"discount","label":"Winter","amount_cents":-90},{"kind":"tax","label":"VAT","amount_cents":0},
            {"kind":"fee","label":"Wrapping","amount_cents":1}],
        "metadata":{"channel":"web","note":""}}"#;
    h.post("/orders", body).await.is(201, r#"{"order_id":"o"}"#);
    let order = h.get("/orders/o?view=full").await.json();
    assert_eq!(order["TotalCents"], 2401);
    assert_eq!(order["Currency"], "EUR");
    assert_eq!(order["Metadata"], serde_json::json!({"channel": "web", "note": ""}));
    assert_eq!(
        order["Adjustments"][1],
        serde_json::json!({"Kind": "discount", "Label": "Winter", "AmountCents": -90})
    );
    assert_eq!(order["Lines"][1]["SKU"], "t");
    // The same again, with the members of an object in another order, is a repetition.
    h.post("/orders", &body.replace(r#""channel":"web","note":"""#, r#""note":"","channel":"web""#))
        .await
        .is(201, r#"{"order_id":"o"}"#);
    assert_eq!(h.event_count().await, 1);
}

#[tokio::test]
async fn an_explicit_null_means_left_out() {
    let h = Harness::new();
    let body = r#"{"order_id":null,"customer_id":"c","currency":null,"adjustments":null,"metadata":null,
        "items":[{"SKU":"s","Quantity":1,"UnitPriceCents":5}]}"#;
    assert_eq!(h.post("/orders", body).await.status, 201);
    h.post("/orders", r#"{"customer_id":null,"items":[{"SKU":null,"Quantity":1,"UnitPriceCents":1}]}"#)
        .await
        .has_faults(&["/customer_id", "/items/0/SKU"]);
}

#[tokio::test]
async fn every_fault_is_told_at_once_with_its_place() {
    let h = Harness::new();
    let body = r#"{"order_id":"a/b","customer_id":7,"currency":"eur",
        "items":[{"SKU":"","Quantity":0,"UnitPriceCents":-1},{},"x",{"SKU":"s","sku":"s","Quantity":"2","UnitPriceCents":1.5}],
        "adjustments":[{"kind":"gift","label":"x","amount_cents":1},{"kind":"discount","label":"x","amount_cents":1},
            {"kind":"tax","label":"a\nb","amount_cents":-1}],
        "metadata":{"a/b":1,"":"x","k~":"\u0000","ok":"ok"}}"#;
    h.post_with("/orders?dry=1", &[("if-match", "3")], body).await.has_faults(&[
        "/order_id",
        "/customer_id",
        "/currency",
        "/items/0/SKU",
        "/items/0/Quantity",
        "/items/0/UnitPriceCents",
        "/items/1/SKU",
        "/items/1/Quantity",
        "/items/1/UnitPriceCents",
        "/items/2",
        "/items/3/sku",
        "/items/3/Quantity",
        "/items/3/UnitPriceCents",
        "/adjustments/0/kind",
        "/adjustments/1/amount_cents",
        "/adjustments/2/label",
        "/adjustments/2/amount_cents",
        "/metadata/a~1b",
        "/metadata/",
        "/metadata/k~0",
        "dry",
        "If-Match",
    ]);
    assert_eq!(h.event_count().await, 0);
}

#[tokio::test]
async fn values_are_held_to_their_limits() {
    let h = Harness::new();
    let item = r#"{"SKU":"s","Quantity":1,"UnitPriceCents":1}"#;
    let with = |members: &str| format!(r#"{{"customer_id":"c","items":[{item}],{members}}}"#);
    let items = |count: usize| format!(r#"{{"customer_id":"c","items":[{}]}}"#, vec![item; count].join(","));
    let one = |quantity: &str, price: &str| {
        format!(
            r#"{{"customer_id":"c","items":[{{"SKU":"s","Quantity":{quantity},"UnitPriceCents":{price}}}]}}"#
        )
    };
    let adjustments = |count: usize| {
        let list = vec![r#"{"kind":"fee","label":"f","amount_cents":1}"#; count].join(",");
        with(&format!(r#""adjustments":[{list}]"#))
    };
    let metadata = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|i| format!(r#""k{i}":"v""#)).collect();
        with(&format!(r#""metadata":{{{}}}"#, pairs.join(",")))
    };
    for body in [
        items(1_000),
        one("1000000", "0"),
        one("1", "9007199254740991"),
        with(&format!(r#""order_id":"{}""#, "x".repeat(128))),
        adjustments(100),
        metadata(50),
        with(&format!(r#""metadata":{{"{}":"{}"}}"#, "ü".repeat(40), "ü".repeat(500))),
    ] {
        let answer = h.post("/orders", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let placed = h.event_count().await;
    for (body, place) in [
        (items(0), "/items"),
        (items(1_001), "/items"),
        (one("1000001", "1"), "/items/0/Quantity"),
        (one("1e7", "1"), "/items/0/Quantity"),
        (one("2.5", "1"), "/items/0/Quantity"),
        (one("18446744073709551616", "1"), "/items/0/Quantity"),
        (one("true", "1"), "/items/0/Quantity"),
        (one("1", "9007199254740992"), "/items/0/UnitPriceCents"),
        (one("2", "9007199254740991"), "/items"),
        (with(r#""adjustments":[{"kind":"discount","label":"all","amount_cents":-2}]"#), "/items"),
        (with(&format!(r#""order_id":"{}""#, "x".repeat(129))), "/order_id"),
        (with(r#""order_id":"..""#), "/order_id"),
        (adjustments(101), "/adjustments"),
        (metadata(51), "/metadata"),
        (with(&format!(r#""metadata":{{"k":"{}"}}"#, "v".repeat(501))), "/metadata/k"),
        (with(r#""metadata":[]"#), "/metadata"),
        ("null".to_owned(), ""),
        ("[]".to_owned(), ""),
        ("\"x\"".to_owned(), ""),
        ("3".to_owned(), ""),
    ] {
        h.post("/orders", &body).await.has_faults(&[place]);
    }
    assert_eq!(h.event_count().await, placed);
}

#[tokio::test]
async fn the_largest_order_fits() {
    let h = Harness::new();
    let item = format!(r#"{{"SKU":"{}","Quantity":1,"UnitPriceCents":1}}"#, "🙂".repeat(128));
    let body = format!(r#"{{"customer_id":"c","items":[{}]}}"#, vec![item; 1_000].join(","));
    assert!(body.len() < 1024 * 1024);
    h.post("/orders", &body).await.is(201, r#"{"order_id":"00000000-0000-7000-8000-000000000001"}"#);
}

#[tokio::test]
async fn an_id_with_other_content_is_taken() {
    let h = Harness::with_order().await;
    let body = r#"{"order_id":"ord-001","customer_id":"cust-124","items":[{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500}]}"#;
    h.post("/orders", body).await.is(
        409,
        r#"{"type":"/problems/id-reused","title":"The id is taken by other content","status":409,"detail":"The order_id is already taken by a request with other content.","instance":"/orders","code":"id-reused","order_status":"placed","version":1,"allowed_actions":["payment","decline","cancel","hold"]}"#,
    );
}

#[tokio::test]
async fn a_new_order_has_no_version_to_match() {
    let h = Harness::new();
    let body = crate::harness::order_body("o");
    h.post_with("/orders", &[("if-match", "*")], &body).await.refuses(412, "version-mismatch");
    h.post_with("/orders", &[("if-match", "\"1\"")], &body).await.refuses(412, "version-mismatch");
    assert_eq!(h.event_count().await, 0);
}

#[tokio::test]
async fn the_configured_currency_is_the_default() {
    let config = order_api::ApiConfig { default_currency: order_domain::Currency::CHF, ..Default::default() };
    let h = Harness::with_config(config);
    h.place("o").await;
    assert_eq!(h.get("/orders/o?view=full").await.json()["Currency"], "CHF");
}
