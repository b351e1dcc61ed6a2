use crate::life::*;

#[tokio::test]
async fn an_order_is_held_and_goes_on_without_bodies_and_as_often_as_asked() {
    let order = order_after([]).await;
    order.repeats("unhold", "").await;
    assert_eq!(order.accepts("hold", "").await, ["order.held.v1"]);
    for again in ["", "{}", r#"{"reason":"fraud check"}"#] {
        order.repeats("hold", again).await;
    }
    assert_eq!(order.full_view().await["OnHold"], true);
    assert_eq!(order.accepts("unhold", "").await, ["order.hold_released.v1"]);
    for again in ["", "{}", r#"{"reason":"all is well"}"#] {
        order.repeats("unhold", again).await;
    }
    assert_eq!(order.accepts("hold", r#"{"reason":"again"}"#).await, ["order.held.v1"]);
}

#[tokio::test]
async fn a_hold_stops_reserving_shipping_capturing_and_completing_and_nothing_else() {
    let on_hold = "The order is on hold, which stops reserving, shipping, capturing and completing.";
    let order = order_after([PAID, HELD]).await;
    order.refuses("reserve", RESERVED.1, "order-on-hold", on_hold).await;
    order.refuses("capture", CAPTURED.1, "order-on-hold", on_hold).await;
    order.refuses("capture", r#"{"capture_id":"c","amount_cents":1}"#, "order-on-hold", on_hold).await;
    order.accepts("payment/void", r#"{"void_id":"v","payment_id":"p"}"#).await;
    order.accepts("payment", r#"{"payment_id":"p-2"}"#).await;
    order.accepts("cancel", "{}").await;

    let order = order_after([PAID, RESERVED, HELD]).await;
    order.refuses("ship", SHIPPED.1, "order-on-hold", on_hold).await;
    order.accepts("reserve/release", r#"{"reservation_id":"r"}"#).await;

    let order = order_after(until_delivered().into_iter().chain([CAPTURED, HELD])).await;
    order.refuses("complete", "", "order-on-hold", on_hold).await;
    order.accepts("returns", ASKED_BACK.1).await;
    order.accepts("refund", r#"{"refund_id":"f","amount_cents":1}"#).await;
}

#[tokio::test]
async fn an_order_of_which_all_has_arrived_is_completed() {
    let order = order_after(until_delivered()).await;
    assert_eq!(order.accepts("complete", "").await, ["order.completed.v1"]);
    for again in ["", "{}"] {
        order.repeats("complete", again).await;
    }
    assert_eq!(order.full_view().await["Status"], "completed");
}

#[tokio::test]
async fn an_order_is_not_completed_while_something_is_open_on_either_side() {
    let under_way = order_after([PAID, RESERVED, SHIPPED]).await;
    let arrived = "An order is complete when all that was shipped is delivered and no unit is open.";
    under_way.refuses("complete", "", "invalid-transition", arrived).await;

    let order = order_after(until_delivered().into_iter().chain([ASKED_BACK])).await;
    let open = "A return is open; receive or reject it first.";
    order.refuses("complete", "", "invalid-transition", open).await;

    order.accepts("capture", CAPTURED.1).await;
    order.accepts("returns/x/receive", "{}").await;
    let owed = "Money is owed back; refund it first.";
    order.refuses("complete", "", "invalid-transition", owed).await;

    let order = order_after(until_delivered()).await;
    order.accepts("payment/void", r#"{"void_id":"v","payment_id":"p","amount_cents":1}"#).await;
    let not_covered = "Payments must cover all that is due before the order is completed.";
    order.refuses("complete", "", "invalid-transition", not_covered).await;
}

/// Delivered and completed uncaptured; then the authorisation lapses.
#[tokio::test]
async fn a_completed_order_that_is_not_paid_any_more_has_not_ended_and_takes_a_new_payment() {
    let order = order_after(until_delivered().into_iter().chain([COMPLETED])).await;
    order.accepts("payment/void", r#"{"void_id":"v","payment_id":"p","reason":"lapsed"}"#).await;
    order.accepts("hold", "").await;
    order.accepts("unhold", "").await;
    order.accepts("payment", r#"{"payment_id":"p-2"}"#).await;
    order.accepts("capture", CAPTURED.1).await;
    let ended = "The order has ended, and there is nothing left to hold back.";
    order.refuses("hold", "", "invalid-transition", ended).await;
}
