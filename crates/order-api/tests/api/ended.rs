//! What is still answered when an order has ended: cancelled, completed or returned, and all money settled.

use Answered::{Accepted, DoneAlready, Refused};

use crate::life::*;

#[derive(Clone, Copy)]
enum Answered {
    Accepted,
    DoneAlready,
    /// With this code and this detail.
    Refused(&'static str, &'static str),
}

const COVERED: Answered =
    state("Payments already cover all that is due, so there is no amount to authorise.");
const NO_MORE_PAYMENTS: Answered = state("The order has ended, and nothing more is paid for it.");
const NOTHING_TO_VOID: Answered = state("No authorisation is open, so there is nothing to void.");
const NOTHING_TO_RESERVE: Answered = state("No unit is open that is not reserved already.");
const NOTHING_TO_RELEASE: Answered = state("No reservation holds a unit that is not shipped.");
const NOTHING_TO_SHIP: Answered = state("No unit is reserved, so there is nothing to ship.");
const DELIVERED_ALREADY: Answered = state("The parcel was delivered, so it is not lost.");
const NOTHING_TO_CAPTURE: Answered = state("No authorisation is open, so there is nothing to capture.");
const NOTHING_TO_REFUND: Answered =
    Refused("amount-exceeds-captured", "1 is more than the 0 that is captured and not refunded yet.");
const SHIPPED_ALREADY: Answered =
    Refused("already-shipped", "No unit is open, and what was shipped can only be returned.");
const NOTHING_TO_ASK_BACK: Answered =
    state("No unit is delivered that has not come back or been asked back already.");
const RECEIVED_ALREADY: Answered = state("The return was received, so it is not rejected any more.");
const NO_RETURN: Answered = Refused("return-not-found", "The order has no return of this id.");
const NOTHING_TO_HOLD: Answered = state("The order has ended, and there is nothing left to hold back.");
const NOT_ARRIVED: Answered =
    state("An order is complete when all that was shipped is delivered and no unit is open.");

const fn state(detail: &'static str) -> Answered {
    Refused("invalid-transition", detail)
}

/// What each of [`COMMANDS`] is answered, one after the other.
async fn check(order: &Life, expected: [Answered; COMMANDS.len()]) {
    for ((path, body), answered) in COMMANDS.into_iter().zip(expected) {
        match answered {
            Accepted => assert!(!order.accepts(path, body).await.is_empty(), "{path}"),
            DoneAlready => order.repeats(path, body).await,
            Refused(code, detail) => order.refuses(path, body, code, detail).await,
        }
    }
}

#[tokio::test]
async fn a_cancelled_order_takes_nothing_more() {
    let order = order_after([PAID, RESERVED, CANCELLED]).await;
    let no_parcel = Refused("unknown-reference", "The order has no parcel of that name.");
    let expected = [
        state("The order is cancelled, so nothing is due; void the payment at the processor."),
        NO_MORE_PAYMENTS,
        NOTHING_TO_VOID,
        NOTHING_TO_RESERVE,
        DoneAlready,
        NOTHING_TO_SHIP,
        no_parcel,
        no_parcel,
        NOTHING_TO_CAPTURE,
        NOTHING_TO_REFUND,
        DoneAlready,
        NOTHING_TO_ASK_BACK,
        NO_RETURN,
        NO_RETURN,
        NOTHING_TO_HOLD,
        DoneAlready,
        NOT_ARRIVED,
    ];
    check(&order, expected).await;
}

#[tokio::test]
async fn a_returned_order_whose_money_was_given_back_takes_nothing_more() {
    let all = r#"{"return_id":"x","items":[{"SKU":"sku-1","Quantity":2},{"SKU":"sku-2","Quantity":1}]}"#;
    let back =
        [CAPTURED, ("returns", all), ("returns/x/receive", "{}"), ("refund", r#"{"refund_id":"all"}"#)];
    let order = order_after(until_delivered().into_iter().chain(back)).await;
    assert_eq!(order.full_view().await["Status"], "returned");
    let expected = [
        COVERED,
        NO_MORE_PAYMENTS,
        NOTHING_TO_VOID,
        NOTHING_TO_RESERVE,
        NOTHING_TO_RELEASE,
        NOTHING_TO_SHIP,
        DoneAlready,
        DELIVERED_ALREADY,
        NOTHING_TO_CAPTURE,
        NOTHING_TO_REFUND,
        SHIPPED_ALREADY,
        NOTHING_TO_ASK_BACK,
        DoneAlready,
        RECEIVED_ALREADY,
        NOTHING_TO_HOLD,
        DoneAlready,
        NOT_ARRIVED,
    ];
    check(&order, expected).await;
}

/// Two units came back and were paid back; the third was kept.
#[tokio::test]
async fn of_a_completed_order_money_may_still_be_given_back_and_units_asked_back() {
    let back = [CAPTURED, ASKED_BACK, ("returns/x/receive", "{}"), ("refund", r#"{"refund_id":"two"}"#)];
    let order = order_after(until_delivered().into_iter().chain(back).chain([COMPLETED])).await;
    let expected = [
        COVERED,
        NO_MORE_PAYMENTS,
        NOTHING_TO_VOID,
        NOTHING_TO_RESERVE,
        NOTHING_TO_RELEASE,
        NOTHING_TO_SHIP,
        DoneAlready,
        DELIVERED_ALREADY,
        NOTHING_TO_CAPTURE,
        Accepted,
        SHIPPED_ALREADY,
        Refused("quantity-exceeds-available", "1 unit is more than the 0 that are available."),
        DoneAlready,
        RECEIVED_ALREADY,
        NOTHING_TO_HOLD,
        DoneAlready,
        DoneAlready,
    ];
    check(&order, expected).await;
    order.accepts("returns", r#"{"return_id":"y","items":[{"Line":2,"Quantity":1}]}"#).await;
    order.accepts("returns/y/receive", "{}").await;
    // A cent of the third was given back already, out of goodwill.
    assert_eq!(order.full_view().await["RefundDueCents"], 1999);
}
