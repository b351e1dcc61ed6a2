//! What is reserved and released, shipped, delivered and lost.

use crate::harness::Harness;
use crate::life::*;

const FIRST_PARCEL: Step =
    ("ship", r#"{"tracking_number":"t-1","carrier":"UPS","items":[{"SKU":"sku-1","Quantity":2}]}"#);
const SECOND_PARCEL: Step = ("ship", r#"{"tracking_number":"t-2","carrier":"UPS"}"#);

#[tokio::test]
async fn a_reservation_takes_all_that_is_open_and_is_refused_until_the_order_is_covered() {
    let order = order_after([]).await;
    let not_covered = "Payments must cover all that is due before inventory is reserved.";
    order.refuses("reserve", RESERVED.1, "invalid-transition", not_covered).await;
    order.accepts("payment", PAID.1).await;
    assert_eq!(order.accepts("reserve", RESERVED.1).await, ["order.inventory_reserved.v1"]);
    order.repeats("reserve", RESERVED.1).await;
    let reused = "The reservation_id is already taken by a request with other content.";
    let with_a_life = r#"{"reservation_id":"r","expires_in_seconds":60}"#;
    order.refuses("reserve", with_a_life, "id-reused", reused).await;
    let nothing = "No unit is open that is not reserved already.";
    order.refuses("reserve", r#"{"reservation_id":"r-2"}"#, "invalid-transition", nothing).await;
}

#[tokio::test]
async fn a_release_frees_what_was_not_shipped_and_the_id_stays_spent() {
    let order = order_after([PAID, RESERVED, FIRST_PARCEL]).await;
    let release = r#"{"reservation_id":"r","reason":"the shelf is empty"}"#;
    assert_eq!(order.accepts("reserve/release", release).await, ["order.reservation_released.v1"]);
    order.repeats("reserve/release", r#"{"reservation_id":"r"}"#).await;
    order.repeats("reserve", RESERVED.1).await;
    assert_eq!(order.full_view().await["Lines"][1]["Reserved"], 0);
    order.accepts("reserve", r#"{"reservation_id":"r-2"}"#).await;
}

#[tokio::test]
async fn a_release_is_refused_where_nothing_is_held() {
    let order = order_after([PAID]).await;
    let nobodys = r#"{"reservation_id":"r"}"#;
    let unknown = "The order has no reservation of that name.";
    order.refuses("reserve/release", nobodys, "unknown-reference", unknown).await;
    order.accepts("reserve", RESERVED.1).await;
    order.accepts("ship", SHIPPED.1).await;
    let nothing = "No reservation holds a unit that is not shipped.";
    order.refuses("reserve/release", nobodys, "invalid-transition", nothing).await;
    order.accepts("lost", r#"{"tracking_number":"t"}"#).await;
    order.accepts("reserve", r#"{"reservation_id":"r-2"}"#).await;
    let all_shipped = "What this reservation held has been shipped, so there is nothing to release.";
    order.refuses("reserve/release", nobodys, "invalid-transition", all_shipped).await;
}

#[tokio::test]
async fn a_parcel_is_refused_for_what_is_not_reserved() {
    let order = order_after([PAID]).await;
    let nothing = "No unit is reserved, so there is nothing to ship.";
    order.refuses("ship", SHIPPED.1, "invalid-transition", nothing).await;
    order.accepts("reserve", RESERVED.1).await;
    let parcel = |items: &str| format!(r#"{{"tracking_number":"t","carrier":"UPS","items":[{items}]}}"#);
    let exceeds = "quantity-exceeds-available";
    let detail = "3 units are more than the 2 that are available.";
    order.refuses("ship", &parcel(r#"{"SKU":"sku-1","Quantity":3}"#), exceeds, detail).await;
    for (items, unknown) in [
        (r#"{"Line":3,"Quantity":1}"#, "The order has no line 3."),
        (r#"{"SKU":"sku-3","Quantity":1}"#, "The order has no line with a SKU of that name."),
    ] {
        order.refuses("ship", &parcel(items), "unknown-reference", unknown).await;
    }
    assert_eq!(order.accepts("ship", FIRST_PARCEL.1).await, ["order.shipped.v1"]);
    order
        .repeats("ship", r#"{"tracking_number":"t-1","carrier":"UPS","items":[{"Line":1,"Quantity":2}]}"#)
        .await;
    let reused = "The tracking_number is already taken by a request with other content.";
    for other in [
        r#"{"tracking_number":"t-1","carrier":"DHL"}"#,
        r#"{"tracking_number":"t-1","carrier":"UPS","items":[{"Line":1,"Quantity":1}]}"#,
    ] {
        order.refuses("ship", other, "id-reused", reused).await;
    }
}

#[tokio::test]
async fn the_only_parcel_is_delivered_without_a_name_and_without_a_body() {
    let order = order_after([PAID, RESERVED, SHIPPED]).await;
    assert_eq!(order.accepts("deliver", "").await, ["order.shipment_delivered.v1"]);
    for again in ["", "{}", r#"{"tracking_number":"t"}"#, r#"{"tracking_number":null}"#] {
        order.repeats("deliver", again).await;
    }
}

#[tokio::test]
async fn of_two_parcels_the_one_that_is_meant_is_named_also_when_the_other_has_arrived() {
    let order = order_after([PAID, RESERVED, FIRST_PARCEL, SECOND_PARCEL]).await;
    for body in ["", "{}"] {
        order.finds_faults("deliver", body, &["/tracking_number"]).await;
    }
    order.accepts("deliver", r#"{"tracking_number":"t-1"}"#).await;
    assert_eq!(order.full_view().await["Status"], "partially_delivered");
    order.finds_faults("deliver", "{}", &["/tracking_number"]).await;
    order.accepts("deliver", r#"{"tracking_number":"t-2"}"#).await;
    order.finds_faults("deliver", "{}", &["/tracking_number"]).await;
}

#[tokio::test]
async fn a_delivery_is_refused_for_a_parcel_that_is_not_under_way() {
    let order = order_after([PAID, RESERVED]).await;
    let nothing = "No parcel is under way.";
    order.refuses("deliver", "{}", "invalid-transition", nothing).await;
    let unknown = "The order has no parcel of that name.";
    order.refuses("deliver", DELIVERED.1, "unknown-reference", unknown).await;
    order.accepts("ship", SHIPPED.1).await;
    order.accepts("lost", r#"{"tracking_number":"t","reason":"not found"}"#).await;
    let lost = "The parcel was reported lost, and its units are open again.";
    order.refuses("deliver", DELIVERED.1, "invalid-transition", lost).await;
}

#[tokio::test]
async fn units_of_a_lost_parcel_are_open_again_and_its_number_stays_spent() {
    let order = order_after([PAID, RESERVED, SHIPPED]).await;
    let lost = r#"{"tracking_number":"t","reason":"not found at the depot"}"#;
    assert_eq!(order.accepts("lost", lost).await, ["order.shipment_lost.v1"]);
    order.repeats("lost", r#"{"tracking_number":"t"}"#).await;
    order.repeats("ship", SHIPPED.1).await;
    let view = order.full_view().await;
    assert_eq!((&view["Status"], &view["Lines"][0]["Shipped"]), (&"payment_authorized".into(), &0.into()));
    order.accepts("reserve", r#"{"reservation_id":"r-2"}"#).await;
    order.accepts("ship", r#"{"tracking_number":"t-2","carrier":"UPS"}"#).await;
}

#[tokio::test]
async fn what_has_arrived_or_never_left_is_not_lost() {
    let order = order_after(until_delivered()).await;
    let arrived = "The parcel was delivered, so it is not lost.";
    order.refuses("lost", r#"{"tracking_number":"t"}"#, "invalid-transition", arrived).await;
    let unknown = "The order has no parcel of that name.";
    order.refuses("lost", r#"{"tracking_number":"u"}"#, "unknown-reference", unknown).await;
    order.finds_faults("lost", "{}", &["/tracking_number"]).await;
}

/// Ids are unique for each kind of thing, so that one word may name all of them.
#[tokio::test]
async fn the_same_id_for_another_kind_of_thing_is_another_id() {
    let order = order_after([]).await;
    for (path, body) in [
        ("payment/decline", r#"{"payment_id":"one","reason":"no"}"#),
        ("payment", r#"{"payment_id":"one","amount_cents":100}"#),
        ("payment/void", r#"{"void_id":"one","payment_id":"one","amount_cents":1}"#),
        ("payment", r#"{"payment_id":"two"}"#),
        ("reserve", r#"{"reservation_id":"one"}"#),
        ("cancel", r#"{"cancellation_id":"one","items":[{"Line":2,"Quantity":1}]}"#),
        ("ship", r#"{"tracking_number":"one","carrier":"one"}"#),
        ("capture", r#"{"capture_id":"one"}"#),
        ("deliver", r#"{"tracking_number":"one"}"#),
        ("returns", r#"{"return_id":"one","items":[{"Line":1,"Quantity":1}]}"#),
        ("returns/one/receive", "{}"),
        ("refund", r#"{"refund_id":"one"}"#),
    ] {
        assert!(!order.accepts(path, body).await.is_empty(), "{path}");
    }
}

/// 2 are ordered and reserved, 1 is cancelled: one unit leaves, and the order is shipped.
#[tokio::test]
async fn what_was_cancelled_does_not_leave() {
    let placement =
        r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":2,"UnitPriceCents":100}]}"#;
    let order = order_placed_by(placement, [PAID, RESERVED]).await;
    order.accepts("cancel", r#"{"cancellation_id":"k","items":[{"SKU":"a","Quantity":1}]}"#).await;
    order.accepts("ship", SHIPPED.1).await;
    let view = order.full_view().await;
    assert_eq!((&view["Status"], &view["Lines"][0]["Shipped"]), (&"shipped".into(), &1.into()));
}

/// 1,000 lines that two reservations hold leave in one event that fits.
#[tokio::test]
async fn a_thousand_lines_that_two_reservations_hold_leave_in_one_parcel() {
    let sku = "s".repeat(124);
    let lines: Vec<_> =
        (0..1_000).map(|n| format!(r#"{{"SKU":"{sku}{n:04}","Quantity":2,"UnitPriceCents":1}}"#)).collect();
    let placement = format!(r#"{{"order_id":"o","customer_id":"c","items":[{}]}}"#, lines.join(","));
    let order = order_placed_by(&placement, [PAID, RESERVED]).await;
    let name = "1".repeat(128);
    let halves: Vec<_> = (1..=1_000).map(|n| format!(r#"{{"Line":{n},"Quantity":1}}"#)).collect();
    let body = format!(r#"{{"tracking_number":"{name}","carrier":"{name}","items":[{}]}}"#, halves.join(","));
    order.accepts("ship", &body).await;
    order.accepts("lost", &format!(r#"{{"tracking_number":"{name}"}}"#)).await;
    order.accepts("reserve", &format!(r#"{{"reservation_id":"{name}"}}"#)).await;
    order.accepts("ship", SHIPPED.1).await;
    let view = order.full_view().await;
    assert_eq!(view["Status"], "shipped");
    assert_eq!(view["Shipments"][1]["Units"].as_array().map(Vec::len), Some(2_000));
}

/// What an order has is told apart from whether the order is there, and from whether its path can be one.
#[tokio::test]
async fn a_command_to_an_order_that_is_not_there_finds_no_order() {
    let h = Harness::with_order().await;
    for (path, body) in COMMANDS {
        let answer = h.post(&format!("/orders/nobody/{path}"), body).await;
        answer.is(
            404,
            &format!(
                r#"{{"type":"/problems/order-not-found","title":"No such order","status":404,"detail":"No order has this id.","instance":"/orders/nobody/{path}","code":"order-not-found"}}"#
            ),
        );
    }
    assert_eq!(h.event_count().await, 1);
}
