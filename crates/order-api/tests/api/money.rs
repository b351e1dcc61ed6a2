//! What is declined, voided, captured and refunded.

use crate::life::*;

const TWO_PAYMENTS: [Step; 2] =
    [("payment", r#"{"payment_id":"p-1","amount_cents":2000}"#), ("payment", r#"{"payment_id":"p-2"}"#)];

#[tokio::test]
async fn a_declined_payment_is_recorded_and_may_be_authorised_later() {
    let order = order_after([]).await;
    let declined = r#"{"payment_id":"p","reason":"insufficient funds"}"#;
    assert_eq!(order.accepts("payment/decline", declined).await, ["order.payment_declined.v1"]);
    order.repeats("payment/decline", r#"{"payment_id":"p","reason":"another reason"}"#).await;
    assert_eq!(order.accepts("payment", r#"{"payment_id":"p"}"#).await, ["order.payment_authorized.v1"]);
    order.repeats("payment/decline", declined).await;
}

#[tokio::test]
async fn an_authorised_payment_is_not_declined_and_an_ended_order_takes_no_decline() {
    let order = order_after([PAID]).await;
    let declined = r#"{"payment_id":"p","reason":"no"}"#;
    let reused = "The payment_id is already taken by a request with other content.";
    order.refuses("payment/decline", declined, "id-reused", reused).await;
    let order = order_after([CANCELLED]).await;
    let ended = "The order has ended, and nothing more is paid for it.";
    order.refuses("payment/decline", declined, "invalid-transition", ended).await;
}

#[tokio::test]
async fn an_order_has_room_for_100_declines_and_250_payments() {
    let order = order_after([]).await;
    for n in 0..100 {
        let body = format!(r#"{{"payment_id":"d-{n}","reason":"no"}}"#);
        order.post("payment/decline", &body).await.is(202, r#"{"status":"accepted"}"#);
    }
    let full = "The order has as many declined payments as an order may have (100).";
    order.refuses("payment/decline", r#"{"payment_id":"d","reason":"no"}"#, "order-full", full).await;
    for n in 0..250 {
        let body = format!(r#"{{"payment_id":"p-{n}","amount_cents":1}}"#);
        order.post("payment", &body).await.is(202, r#"{"status":"accepted"}"#);
    }
    let full = "The order has as many payments as an order may have (250).";
    order.refuses("payment", r#"{"payment_id":"p","amount_cents":1}"#, "order-full", full).await;
    order.refuses("payment", r#"{"payment_id":"p"}"#, "order-full", full).await;
    assert_eq!(order.accepts("cancel", "{}").await, ["order.cancelled.v1", "order.payment_voided.v1"]);
}

#[tokio::test]
async fn a_void_gives_up_what_is_open_of_a_payment() {
    let order = order_after(TWO_PAYMENTS).await;
    let part = r#"{"void_id":"v","payment_id":"p-1","amount_cents":500,"reason":"lapsed"}"#;
    assert_eq!(order.accepts("payment/void", part).await, ["order.payment_voided.v1"]);
    order.repeats("payment/void", r#"{"void_id":"v","payment_id":"p-1","reason":"other"}"#).await;
    order.accepts("payment/void", r#"{"void_id":"w","payment_id":"p-1"}"#).await;
    let order = order.full_view().await;
    assert_eq!(order["Payments"][0]["VoidedCents"], 2000);
    assert_eq!((&order["Status"], &order["VoidedCents"]), (&"placed".into(), &2000.into()));
}

#[tokio::test]
async fn a_void_is_refused_for_what_is_not_open() {
    let order = order_after(TWO_PAYMENTS).await;
    let more = r#"{"void_id":"v","payment_id":"p-1","amount_cents":2001}"#;
    let detail = "2001 is more than the 2000 that is authorised and still open.";
    order.refuses("payment/void", more, "amount-exceeds-authorized", detail).await;
    let nobodys = r#"{"void_id":"v","payment_id":"p-3"}"#;
    order
        .refuses("payment/void", nobodys, "unknown-reference", "The order has no payment of that name.")
        .await;
    order.accepts("payment/void", r#"{"void_id":"v","payment_id":"p-1"}"#).await;
    let reused = "The void_id is already taken by a request with other content.";
    for other in
        [r#"{"void_id":"v","payment_id":"p-2"}"#, r#"{"void_id":"v","payment_id":"p-1","amount_cents":1999}"#]
    {
        order.refuses("payment/void", other, "id-reused", reused).await;
    }
    let of_payment = "No authorisation of this payment is open, so there is nothing to void.";
    let again = r#"{"void_id":"w","payment_id":"p-1"}"#;
    order.refuses("payment/void", again, "invalid-transition", of_payment).await;
    order.accepts("payment/void", r#"{"void_id":"u","payment_id":"p-2"}"#).await;
    let of_order = "No authorisation is open, so there is nothing to void.";
    order.refuses("payment/void", again, "invalid-transition", of_order).await;
}

#[tokio::test]
async fn a_capture_takes_payments_in_the_order_in_which_they_were_authorised() {
    let order = order_after(TWO_PAYMENTS).await;
    let part = r#"{"capture_id":"c","amount_cents":2500}"#;
    assert_eq!(order.accepts("capture", part).await, ["order.payment_captured.v1"]);
    let payments = order.full_view().await["Payments"].clone();
    assert_eq!((&payments[0]["CapturedCents"], &payments[1]["CapturedCents"]), (&2000.into(), &500.into()));
    order.repeats("capture", part).await;
    order.repeats("capture", r#"{"capture_id":"c"}"#).await;
    order.accepts("capture", r#"{"capture_id":"d","payment_id":"p-2"}"#).await;
    order.repeats("capture", r#"{"capture_id":"d","payment_id":"p-2","amount_cents":2500}"#).await;
    assert_eq!(order.full_view().await["CapturedCents"], 5000);
}

#[tokio::test]
async fn a_capture_is_refused_for_what_is_not_open() {
    let order = order_after(TWO_PAYMENTS).await;
    let exceeds = "amount-exceeds-authorized";
    let detail = "5001 is more than the 5000 that is authorised and still open.";
    order.refuses("capture", r#"{"capture_id":"c","amount_cents":5001}"#, exceeds, detail).await;
    let detail = "2001 is more than the 2000 that is authorised and still open.";
    let of_one = r#"{"capture_id":"c","amount_cents":2001,"payment_id":"p-1"}"#;
    order.refuses("capture", of_one, exceeds, detail).await;
    let nobodys = r#"{"capture_id":"c","payment_id":"p-3"}"#;
    order.refuses("capture", nobodys, "unknown-reference", "The order has no payment of that name.").await;

    order.accepts("capture", r#"{"capture_id":"c","amount_cents":2000}"#).await;
    let reused = "The capture_id is already taken by a request with other content.";
    for other in [r#"{"capture_id":"c","amount_cents":1999}"#, r#"{"capture_id":"c","payment_id":"p-2"}"#] {
        order.refuses("capture", other, "id-reused", reused).await;
    }
    let of_payment = "No authorisation of this payment is open, so there is nothing to capture.";
    let again = r#"{"capture_id":"d","payment_id":"p-1"}"#;
    order.refuses("capture", again, "invalid-transition", of_payment).await;
    order.accepts("capture", r#"{"capture_id":"d"}"#).await;
    let of_order = "No authorisation is open, so there is nothing to capture.";
    order.refuses("capture", r#"{"capture_id":"e"}"#, "invalid-transition", of_order).await;
}

/// 10,000 authorised; 7,000 and 2,000 captured; the rest voided. A capture whose answer was lost is sent again.
#[tokio::test]
async fn what_was_voided_is_not_captured_and_a_capture_that_is_sent_again_takes_nothing() {
    let placement =
        r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":1,"UnitPriceCents":10000}]}"#;
    let order = order_placed_by(placement, [PAID]).await;
    order.accepts("capture", r#"{"capture_id":"c-1","amount_cents":7000}"#).await;
    order.repeats("capture", r#"{"capture_id":"c-1","amount_cents":7000}"#).await;
    let reused = "The capture_id is already taken by a request with other content.";
    order.refuses("capture", r#"{"capture_id":"c-1","amount_cents":6999}"#, "id-reused", reused).await;
    order.accepts("capture", r#"{"capture_id":"c-2","amount_cents":2000}"#).await;
    order.accepts("payment/void", r#"{"void_id":"v","payment_id":"p"}"#).await;
    let view = order.full_view().await;
    assert_eq!((&view["CapturedCents"], &view["VoidedCents"]), (&9000.into(), &1000.into()));
    let detail = "1 is more than the 0 that is authorised and still open.";
    let one = r#"{"capture_id":"c-3","amount_cents":1}"#;
    order.refuses("capture", one, "amount-exceeds-authorized", detail).await;
}

#[tokio::test]
async fn a_refund_gives_back_what_was_captured() {
    let order = order_after([PAID, CAPTURED]).await;
    let part = r#"{"refund_id":"f","amount_cents":700,"reason":"scratched"}"#;
    assert_eq!(order.accepts("refund", part).await, ["order.payment_refunded.v1"]);
    for again in [
        r#"{"refund_id":"f"}"#,
        r#"{"refund_id":"f","amount_cents":700,"payment_id":"p","repay":false,"reason":"x"}"#,
    ] {
        order.repeats("refund", again).await;
    }
    // Goodwill: nobody owes it any more.
    let view = order.full_view().await;
    assert_eq!((&view["DueCents"], &view["RefundDueCents"]), (&4300.into(), &0.into()));
    order.accepts("cancel", "{}").await;
    order.accepts("refund", r#"{"refund_id":"g"}"#).await;
    assert_eq!(order.full_view().await["RefundedCents"], 5000);
}

#[tokio::test]
async fn a_refund_is_refused_for_what_was_not_captured() {
    let nothing = "Nothing is captured that is not refunded, so there is nothing to refund.";
    let order = order_after(TWO_PAYMENTS).await;
    order.refuses("refund", r#"{"refund_id":"f"}"#, "invalid-transition", nothing).await;
    let exceeds = "amount-exceeds-captured";
    let detail = "1 is more than the 0 that is captured and not refunded yet.";
    order.refuses("refund", r#"{"refund_id":"f","amount_cents":1}"#, exceeds, detail).await;

    order.accepts("capture", r#"{"capture_id":"c","payment_id":"p-1"}"#).await;
    let detail = "2001 is more than the 2000 that is captured and not refunded yet.";
    order.refuses("refund", r#"{"refund_id":"f","amount_cents":2001}"#, exceeds, detail).await;
    let owed = "Nothing is owed back, so the amount to refund has to be named.";
    order.refuses("refund", r#"{"refund_id":"f"}"#, "invalid-transition", owed).await;
    let of_payment = "Nothing is captured of this payment that is not refunded.";
    let untouched = r#"{"refund_id":"f","payment_id":"p-2"}"#;
    order.refuses("refund", untouched, "invalid-transition", of_payment).await;
    let nobodys = r#"{"refund_id":"f","payment_id":"p-3"}"#;
    order.refuses("refund", nobodys, "unknown-reference", "The order has no payment of that name.").await;

    order.accepts("refund", r#"{"refund_id":"f","amount_cents":5}"#).await;
    let reused = "The refund_id is already taken by a request with other content.";
    for other in [
        r#"{"refund_id":"f","amount_cents":6}"#,
        r#"{"refund_id":"f","payment_id":"p-2"}"#,
        r#"{"refund_id":"f","repay":true}"#,
    ] {
        order.refuses("refund", other, "id-reused", reused).await;
    }
}

#[tokio::test]
async fn what_is_refunded_to_be_repaid_stays_due_and_nothing_leaves_before_it_is_paid_anew() {
    let order = order_after([PAID, RESERVED, CAPTURED]).await;
    order.accepts("refund", r#"{"refund_id":"f","amount_cents":5000,"repay":true}"#).await;
    let view = order.full_view().await;
    assert_eq!((&view["DueCents"], &view["RefundDueCents"]), (&5000.into(), &0.into()));
    let not_covered = "Payments must cover all that is due before units are shipped.";
    order.refuses("ship", SHIPPED.1, "invalid-transition", not_covered).await;
    order.accepts("payment", r#"{"payment_id":"p-2"}"#).await;
    order.accepts("ship", SHIPPED.1).await;
}

/// One is asked back, refunded before it arrives, then received; or the refund comes before units are given up.
#[tokio::test]
async fn nothing_is_given_back_twice() {
    let placement = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"a","Quantity":2,"UnitPriceCents":1000}],
        "adjustments":[{"kind":"shipping","label":"Parcel","amount_cents":200}]}"#;
    let steps = until_delivered().into_iter().chain([CAPTURED]);
    let order = order_placed_by(placement, steps).await;
    order.accepts("returns", r#"{"return_id":"x","items":[{"Line":1,"Quantity":1}]}"#).await;
    order.accepts("refund", r#"{"refund_id":"f","amount_cents":1000}"#).await;
    order.accepts("returns/x/receive", "{}").await;
    let view = order.full_view().await;
    assert_eq!((&view["DueCents"], &view["RefundDueCents"]), (&1200.into(), &0.into()));
    order.accepts("complete", "").await;

    let order = order_placed_by(placement, [PAID, CAPTURED]).await;
    order.accepts("refund", r#"{"refund_id":"f","amount_cents":1000}"#).await;
    order.accepts("cancel", r#"{"cancellation_id":"k","items":[{"SKU":"a","Quantity":1}]}"#).await;
    let view = order.full_view().await;
    assert_eq!(
        (&view["DueCents"], &view["RefundDueCents"]),
        (&1200.into(), &0.into()),
        "the shipping stays paid"
    );
}
