//! What holds for the body of any command: its members' names, numbers and texts.

use crate::harness::Harness;

const PAYMENT: &str = "/orders/ord-001/payment";

#[tokio::test]
async fn an_unknown_member_is_a_fault_at_every_depth_and_a_near_name_is_suggested() {
    let h = Harness::with_order().await;
    for (body, pointer, suggestion) in [
        (r#"{"payment_id":"p","AmountCents":1000}"#, "/AmountCents", "; did you mean amount_cents?"),
        (r#"{"payment_id":"p","amount_cent":1000}"#, "/amount_cent", "; did you mean amount_cents?"),
        (r#"{"payment_id":"p","amonut_cents":1000}"#, "/amonut_cents", "; did you mean amount_cents?"),
        (r#"{"payment_id":"p","expires_in":null}"#, "/expires_in", ""),
        (r#"{"payment_id":"p","a/b~":1}"#, "/a~1b~0", ""),
        (r#"{"payment_id":"p","":1}"#, "/", ""),
    ] {
        let answer = h.post(PAYMENT, body).await;
        let answer = answer.has_faults(&[pointer]);
        let detail = format!("is not known here{suggestion}");
        assert_eq!(answer.json()["errors"][0]["detail"], detail, "{body}");
    }
    let order = r#"{"customer_id":"c","lines":[],"adjustment":[],
        "items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1,"Price":2}],
        "adjustments":[{"kind":"fee","label":"f","amount_cents":1,"amount":1}],"metadata":{"free":"place"}}"#;
    h.post("/orders", order).await.has_faults(&[
        "/items/0/Price",
        "/adjustments/0/amount",
        "/lines",
        "/adjustment",
    ]);
    let parcel = r#"{"tracking_number":"t","carrier":"c","lines":[{"SKU":"s"}],"items":[{"Line":1,"Quantity":1,"Qty":1}]}"#;
    h.post("/orders/ord-001/ship", parcel).await.has_faults(&["/items/0/Qty", "/lines"]);
    assert_eq!(h.event_count().await, 1);
}

#[tokio::test]
async fn names_match_whatever_their_letters_case_and_once() {
    let h = Harness::new();
    let body = r#"{"ORDER_ID":"o","Customer_Id":"c","ITEMS":[{"sKu":"s","QUANTITY":1,"unit_Price_Cents":5}],
        "Metadata":{"A":"1","a":"2"}}"#;
    h.post("/orders", body).await.is(201, r#"{"order_id":"o"}"#);
    h.post("/orders/o/payment", r#"{"Payment_ID":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    for (body, pointer) in [
        (r#"{"payment_id":"p","Payment_ID":"p"}"#, "/Payment_ID"),
        (r#"{"payment_id":"p","PAYMENT_ID":null}"#, "/PAYMENT_ID"),
        (r#"{"PAYMENT_ID":null,"payment_id":"p"}"#, "/payment_id"),
    ] {
        h.post("/orders/o/payment", body).await.has_faults(&[pointer]);
    }
    let twice =
        r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":5,"unit_price_cents":5}]}"#;
    h.post("/orders", twice).await.has_faults(&["/items/0/unit_price_cents"]);
    h.post("/orders/o/payment", r#"{"payment_id":"p","payment_id":"p"}"#)
        .await
        .refuses(400, "malformed-request");
}

#[tokio::test]
async fn a_whole_number_is_an_integer_however_it_is_written() {
    let h = Harness::new();
    let body = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":2.0,"UnitPriceCents":15e2},
        {"SKU":"t","Quantity":1,"UnitPriceCents":9007199254737991.0}]}"#;
    h.post("/orders", body).await.is(201, r#"{"order_id":"o"}"#);
    assert_eq!(h.get("/orders/o").await.json()["TotalCents"], 9_007_199_254_740_991_i64);
    h.post("/orders/o/payment", r#"{"payment_id":"p","amount_cents":3e0}"#)
        .await
        .is(202, r#"{"status":"accepted"}"#);
}

#[tokio::test]
async fn texts_have_no_white_space_at_their_ends_and_something_visible_in_them() {
    let h = Harness::with_order().await;
    for id in [" p", "p ", "\u{a0}", "\u{200b}", "   "] {
        h.post(PAYMENT, &serde_json::json!({"payment_id": id}).to_string())
            .await
            .has_faults(&["/payment_id"]);
    }
    let order = r#"{"order_id":"n","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}],
        "metadata":{"note":"one\r\n\ttwo"}}"#;
    h.post("/orders", order).await.is(201, r#"{"order_id":"n"}"#);
    h.post("/orders", &order.replace("note", "no\\nte")).await.has_faults(&["/metadata/no\nte"]);
    assert_eq!(h.event_count().await, 2);
}

#[tokio::test]
async fn an_answer_tells_a_hundred_faults_and_counts_the_rest() {
    let h = Harness::with_order().await;
    let members: Vec<_> = (0..5_000).map(|i| format!(r#""k{i}":1"#)).collect();
    let answer = h.post(PAYMENT, &format!("{{{}}}", members.join(","))).await;
    let answer = answer.refuses(422, "validation-failed");
    let problem = answer.json();
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(100));
    assert_eq!(problem["detail"], "The request has 5001 faults; errors has the first 100.");
    let query: Vec<_> = (0..5_000).map(|i| format!("q{i}=1")).collect();
    let answer = h.get(&format!("/orders?{}", query.join("&"))).await;
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(100));
}

/// What the OpenAPI document says of each command, held against the service: a new command needs no tests of its own for it.
#[tokio::test]
async fn every_command_that_is_documented_reads_its_body_as_documented() {
    let document: serde_json::Value = serde_json::from_str(&order_api::openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let commands: Vec<_> = paths.iter().filter_map(|(path, item)| Some((path, item.get("post")?))).collect();
    assert_eq!(commands.len(), 18, "{commands:?}");
    for (path, command) in commands {
        let h = Harness::with_order().await;
        let body = &command["requestBody"]["content"]["application/json"];
        let name = body["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let schema = &document["components"]["schemas"][name];
        let example = body["example"].as_object().unwrap();
        let path = path.replace("{return_id}", "ret-001");
        let order = path.replace("{id}", "ord-001");

        let with = |name: &str, value: serde_json::Value| {
            let mut changed = example.clone();
            changed.insert(name.to_owned(), value);
            serde_json::Value::from(changed).to_string()
        };
        h.post(&order, &with("unheard_of", 1.into())).await.has_faults(&["/unheard_of"]);
        for other in ["null", "[]", "3"] {
            h.post(&order, other).await.has_faults(&[""]);
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap();
            h.post(&order, &with(name, serde_json::Value::Null)).await.has_faults(&[&format!("/{name}")]);
        }
        h.post(&order, "{").await.refuses(400, "malformed-request");
        if path.contains("{id}") {
            let nobodys = path.replace("{id}", "nobody");
            h.post(&nobodys, &with("x", 1.into())).await.has_faults(&["/x"]);
            let example = serde_json::Value::from(example.clone()).to_string();
            h.post(&nobodys, &example).await.refuses(404, "order-not-found");
            h.post(&format!("{nobodys}?dry_run=true"), &example).await.refuses(404, "order-not-found");
        }
        assert_eq!(h.event_count().await, 1, "{path}");
        let answer = h.post(&order, &serde_json::Value::from(example.clone()).to_string()).await;
        assert!(command["responses"].get(answer.status.as_str()).is_some(), "{path}: {}", answer.text());
    }
}
