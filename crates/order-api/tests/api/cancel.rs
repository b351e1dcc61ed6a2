use crate::life::*;

/// Ten units, all reserved, three of them shipped.
async fn three_of_ten_shipped() -> Life {
    let placement =
        r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":10,"UnitPriceCents":100}]}"#;
    let three = r#"{"tracking_number":"t","carrier":"UPS","items":[{"SKU":"a","Quantity":3}]}"#;
    order_placed_by(placement, [PAID, RESERVED, ("ship", three)]).await
}

#[tokio::test]
async fn an_order_of_which_nothing_was_shipped_is_cancelled_with_all_that_hangs_on_it() {
    let order = order_after([PAID, RESERVED]).await;
    assert_eq!(
        order.accepts("cancel", r#"{"reason":"changed my mind"}"#).await,
        ["order.reservation_released.v1", "order.cancelled.v1", "order.payment_voided.v1"]
    );
    for again in ["{}", r#"{"reason":"another"}"#, r#"{"cancellation_id":"k"}"#] {
        order.repeats("cancel", again).await;
    }
    let view = order.full_view().await;
    assert_eq!((&view["Status"], &view["DueCents"]), (&"cancelled".into(), &0.into()));
}

#[tokio::test]
async fn units_are_cancelled_under_an_id_of_their_own() {
    let order = order_after([PAID, RESERVED]).await;
    let one = r#"{"cancellation_id":"k","items":[{"SKU":"sku-1","Quantity":1}],"reason":"too many"}"#;
    assert_eq!(
        order.accepts("cancel", one).await,
        ["order.reservation_released.v1", "order.lines_cancelled.v1", "order.payment_voided.v1"]
    );
    for again in
        [r#"{"cancellation_id":"k","items":[{"Line":1,"Quantity":1}]}"#, r#"{"cancellation_id":"k"}"#]
    {
        order.repeats("cancel", again).await;
    }
    let reused = "The cancellation_id is already taken by a request with other content.";
    for other in [
        r#"{"cancellation_id":"k","items":[{"Line":1,"Quantity":2}]}"#,
        r#"{"cancellation_id":"k","items":[{"Line":9,"Quantity":1}]}"#,
    ] {
        order.refuses("cancel", other, "id-reused", reused).await;
    }
}

#[tokio::test]
async fn a_cancellation_of_units_needs_an_id_and_one_of_everything_needs_none() {
    let order = order_after([]).await;
    let nameless = r#"{"items":[{"SKU":"sku-1","Quantity":1}]}"#;
    order.finds_faults("cancel", nameless, &["/cancellation_id"]).await;
    // It is told with whatever else is wrong, and once.
    for (body, places) in [
        (r#"{"items":[]}"#, &["/cancellation_id", "/items"][..]),
        (r#"{"items":[{"SKU":"sku-1"}]}"#, &["/cancellation_id", "/items/0/Quantity"]),
        (r#"{"cancellation_id":null,"items":[{"Line":1}]}"#, &["/cancellation_id", "/items/0/Quantity"]),
        (r#"{"cancellation_id":"","items":[{"Line":1,"Quantity":1}]}"#, &["/cancellation_id"]),
    ] {
        order.finds_faults("cancel", body, places).await;
    }
    order.accepts("cancel", "{}").await;
}

#[tokio::test]
async fn a_cancellation_is_refused_for_units_that_are_not_open() {
    let order = three_of_ten_shipped().await;
    let cancel = |items: &str| format!(r#"{{"cancellation_id":"k","items":[{items}]}}"#);
    let exceeds = "8 units are more than the 7 that are available.";
    let eight = cancel(r#"{"SKU":"a","Quantity":8}"#);
    order.refuses("cancel", &eight, "quantity-exceeds-available", exceeds).await;
    for (items, unknown) in [
        (r#"{"Line":2,"Quantity":1}"#, "The order has no line 2."),
        (r#"{"SKU":"b","Quantity":1}"#, "The order has no line with a SKU of that name."),
    ] {
        order.refuses("cancel", &cancel(items), "unknown-reference", unknown).await;
    }
    order.accepts("ship", r#"{"tracking_number":"u","carrier":"UPS"}"#).await;
    let shipped = "No unit is open, and what was shipped can only be returned.";
    for body in ["{}", &cancel(r#"{"SKU":"a","Quantity":1}"#)] {
        order.refuses("cancel", body, "already-shipped", shipped).await;
    }
}

/// 10 reserved, 3 shipped, the rest cancelled twice: cancelled 7, reserved 0, shipped 3, once; then 1 more is shipped.
#[tokio::test]
async fn the_rest_of_a_partly_shipped_order_is_cancelled_once() {
    let order = three_of_ten_shipped().await;
    assert_eq!(
        order.accepts("cancel", "{}").await,
        ["order.reservation_released.v1", "order.lines_cancelled.v1", "order.payment_voided.v1"]
    );
    order.repeats("cancel", "{}").await;
    let line = order.full_view().await["Lines"][0].clone();
    assert_eq!((&line["Cancelled"], &line["Reserved"], &line["Shipped"]), (&7.into(), &0.into(), &3.into()));
    let one = r#"{"tracking_number":"u","carrier":"UPS","items":[{"Line":1,"Quantity":1}]}"#;
    let nothing = "No unit is reserved, so there is nothing to ship.";
    order.refuses("ship", one, "invalid-transition", nothing).await;
}

#[tokio::test]
async fn a_payment_for_a_cancelled_order_is_refused_and_the_detail_says_what_to_do_with_it() {
    let order = order_after([CANCELLED]).await;
    let cancelled = "The order is cancelled, so nothing is due; void the payment at the processor.";
    order.refuses("payment", PAID.1, "invalid-transition", cancelled).await;
    let named = r#"{"cancellation_id":"k","items":[{"SKU":"sku-1","Quantity":1}]}"#;
    order.refuses("cancel", named, "invalid-transition", "Every unit is cancelled already.").await;
}

/// 2 × 1000 + tax 400, one cancelled: due 1200. Captured 400, open 600, due falls to 500: 500 is voided.
#[tokio::test]
async fn what_is_no_longer_due_is_voided_and_taxes_go_with_their_units() {
    let taxed = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":2,"UnitPriceCents":1000}],
        "adjustments":[{"kind":"tax","label":"VAT","amount_cents":400}]}"#;
    let one = r#"{"cancellation_id":"k","items":[{"SKU":"a","Quantity":1}]}"#;
    let order = order_placed_by(taxed, [PAID, ("cancel", one)]).await;
    let view = order.full_view().await;
    assert_eq!((&view["DueCents"], &view["VoidedCents"]), (&1200.into(), &1200.into()));

    let plain =
        r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":2,"UnitPriceCents":500}]}"#;
    let captured = ("capture", r#"{"capture_id":"c","amount_cents":400}"#);
    let order = order_placed_by(plain, [PAID, captured, ("cancel", one)]).await;
    let view = order.full_view().await;
    assert_eq!((&view["DueCents"], &view["VoidedCents"]), (&500.into(), &500.into()));
}
