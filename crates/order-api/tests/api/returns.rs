use crate::life::*;

async fn delivered() -> Life {
    order_after(until_delivered()).await
}

#[tokio::test]
async fn what_was_delivered_is_asked_back_and_received() {
    let order = delivered().await;
    assert_eq!(order.accepts("returns", ASKED_BACK.1).await, ["order.return_requested.v1"]);
    order
        .repeats("returns", r#"{"return_id":"x","items":[{"SKU":"sku-1","Quantity":2}],"reason":"y"}"#)
        .await;
    assert_eq!(
        order.accepts("returns/x/receive", r#"{"items":[{"SKU":"sku-1","Quantity":1}]}"#).await,
        ["order.return_received.v1", "order.payment_voided.v1"]
    );
    for again in ["{}", r#"{"items":[{"Line":1,"Quantity":1}]}"#, r#"{"restock":true}"#] {
        order.repeats("returns/x/receive", again).await;
    }
    order.repeats("returns", ASKED_BACK.1).await;
    let reused = "The return_id is already taken by a request with other content.";
    for other in [r#"{"items":[{"Line":1,"Quantity":2}]}"#, r#"{"restock":false}"#] {
        order.refuses("returns/x/receive", other, "id-reused", reused).await;
    }
    let received = "The return was received, so it is not rejected any more.";
    order.refuses("returns/x/reject", "{}", "invalid-transition", received).await;
    // What is missing may be asked back anew.
    order.accepts("returns", r#"{"return_id":"y","items":[{"Line":1,"Quantity":1}]}"#).await;
}

#[tokio::test]
async fn a_return_is_refused_for_what_was_not_delivered() {
    let order = order_after([PAID, RESERVED, SHIPPED]).await;
    let nothing = "No unit is delivered that has not come back or been asked back already.";
    order.refuses("returns", ASKED_BACK.1, "invalid-transition", nothing).await;
    order.accepts("deliver", "").await;
    let ask = |items: &str| format!(r#"{{"return_id":"x","items":[{items}]}}"#);
    let exceeds = "3 units are more than the 2 that are available.";
    let three = ask(r#"{"Line":1,"Quantity":3}"#);
    order.refuses("returns", &three, "quantity-exceeds-available", exceeds).await;
    for (items, unknown) in [
        (r#"{"Line":3,"Quantity":1}"#, "The order has no line 3."),
        (r#"{"SKU":"z","Quantity":1}"#, "The order has no line with a SKU of that name."),
    ] {
        order.refuses("returns", &ask(items), "unknown-reference", unknown).await;
    }
    order.accepts("returns", ASKED_BACK.1).await;
    let reused = "The return_id is already taken by a request with other content.";
    order.refuses("returns", &ask(r#"{"Line":1,"Quantity":1}"#), "id-reused", reused).await;
    let asked_back = "1 unit is more than the 0 that are available.";
    let again = r#"{"return_id":"y","items":[{"Line":1,"Quantity":1}]}"#;
    order.refuses("returns", again, "quantity-exceeds-available", asked_back).await;
}

#[tokio::test]
async fn a_return_is_received_for_what_was_asked_back_and_no_more() {
    let order = order_after(until_delivered().into_iter().chain([ASKED_BACK])).await;
    for (items, detail) in [
        (r#"{"Line":1,"Quantity":3}"#, "3 units are more than the 2 that are available."),
        (r#"{"SKU":"sku-2","Quantity":1}"#, "1 unit is more than the 0 that are available."),
    ] {
        let body = format!(r#"{{"items":[{items}]}}"#);
        order.refuses("returns/x/receive", &body, "quantity-exceeds-available", detail).await;
    }
    let unknown = r#"{"items":[{"Line":3,"Quantity":1}]}"#;
    order.refuses("returns/x/receive", unknown, "unknown-reference", "The order has no line 3.").await;
    order.finds_faults("returns/x/receive", r#"{"items":[],"restock":1}"#, &["/items", "/restock"]).await;
}

#[tokio::test]
async fn a_return_is_rejected_without_a_body_and_its_units_may_be_asked_back_anew() {
    let order = order_after(until_delivered().into_iter().chain([ASKED_BACK])).await;
    assert_eq!(order.accepts("returns/x/reject", "").await, ["order.return_rejected.v1"]);
    for again in ["", "{}", r#"{"reason":"worn"}"#] {
        order.repeats("returns/x/reject", again).await;
    }
    let rejected = "The return was rejected, so nothing is taken back with it.";
    order.refuses("returns/x/receive", "{}", "invalid-transition", rejected).await;
    order.accepts("returns", r#"{"return_id":"y","items":[{"Line":1,"Quantity":2}]}"#).await;
}

#[tokio::test]
async fn a_return_that_nobody_asked_for_is_not_found_nor_one_whose_name_none_can_have() {
    let order = delivered().await;
    let not_found = "The order has no return of this id.";
    for path in [
        "returns/x/receive",
        "returns/x/reject",
        "returns/a%2Fb/receive",
        "returns/%20/reject",
        "returns/%FF/receive",
    ] {
        order.refuses(path, "{}", "return-not-found", not_found).await;
    }
    for id in [".", "..", "a/b", ""] {
        let body = format!(r#"{{"return_id":"{id}","items":[{{"Line":1,"Quantity":1}}]}}"#);
        order.finds_faults("returns", &body, &["/return_id"]).await;
    }
    order.finds_faults("returns", "{}", &["/return_id", "/items"]).await;
}

/// 1000 + tax 200, all returned: 1200 is owed back.
#[tokio::test]
async fn taxes_come_back_with_their_units_and_a_refund_ends_the_order() {
    let placement = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":1,"UnitPriceCents":1000}],
        "adjustments":[{"kind":"tax","label":"VAT","amount_cents":200}]}"#;
    let asked_back = ("returns", r#"{"return_id":"x","items":[{"Line":1,"Quantity":1}]}"#);
    let steps = until_delivered().into_iter().chain([CAPTURED, asked_back, ("returns/x/receive", "{}")]);
    let order = order_placed_by(placement, steps).await;
    let view = order.full_view().await;
    assert_eq!((&view["Status"], &view["RefundDueCents"]), (&"returned".into(), &1200.into()));
    order.accepts("refund", r#"{"refund_id":"f"}"#).await;
    assert_eq!(order.full_view().await["RefundedCents"], 1200);
    let ended = "The order has ended, and there is nothing left to hold back.";
    order.refuses("hold", "", "invalid-transition", ended).await;
}

#[tokio::test]
async fn an_id_in_a_path_means_what_its_escapes_stand_for() {
    let order = delivered().await;
    for path in ["/orders/%FF/returns/x/receive", "/orders/%FF/returns/%FF/reject", "/orders/%FF/hold"] {
        order.harness().post(path, "{}").await.refuses(404, "order-not-found");
    }
    order.accepts("returns", ASKED_BACK.1).await;
    order.harness().post("/orders/%6F/returns/%78/reject", "{}").await.is(202, r#"{"status":"accepted"}"#);
}
