use serde_json::Value;

use crate::harness::Harness;
use crate::life::*;

/// An action, and what is in its way.
type Expected = (&'static str, Option<(&'static str, &'static str)>);

const ALLOWED: Option<(&str, &str)> = None;
const ON_HOLD: Option<(&str, &str)> = Some((
    "order-on-hold",
    "The order is on hold, which stops reserving, shipping, capturing and completing.",
));
const ALL_COVERED: &str = "Payments already cover all that is due, so there is no amount to authorise.";
const NOT_COVERED: &str = "Payments must cover all that is due before inventory is reserved.";
const NONE_HELD: &str = "No reservation holds a unit that is not shipped.";
const NONE_RESERVED: &str = "No unit is reserved, so there is nothing to ship.";
const NONE_UNDER_WAY: &str = "No parcel is under way.";
const NONE_CAPTURED: &str = "Nothing is captured that is not refunded, so there is nothing to refund.";
const NONE_DELIVERED: &str = "No unit is delivered that has not come back or been asked back already.";
const NO_RETURN: &str = "No return is open.";
const NOT_ARRIVED: &str = "An order is complete when all that was shipped is delivered and no unit is open.";

const fn state(detail: &'static str) -> Option<(&'static str, &'static str)> {
    Some(("invalid-transition", detail))
}

async fn check(order: &Life, expected: [Expected; 17]) {
    let shown = expected.map(|(action, obstacle)| match obstacle {
        None => serde_json::json!({"action": action, "allowed": true}),
        Some((code, reason)) => {
            serde_json::json!({"action": action, "allowed": false, "code": code, "reason": reason})
        }
    });
    assert_eq!(order.actions().await, Value::from(shown.to_vec()));
}

#[tokio::test]
async fn a_new_order_may_be_paid_cancelled_and_held() {
    let order = order_after([]).await;
    check(
        &order,
        [
            ("payment", ALLOWED),
            ("decline", ALLOWED),
            ("void", state("No authorisation is open, so there is nothing to void.")),
            ("reserve", state(NOT_COVERED)),
            ("release", state(NONE_HELD)),
            ("ship", state(NONE_RESERVED)),
            ("deliver", state(NONE_UNDER_WAY)),
            ("lost", state(NONE_UNDER_WAY)),
            ("capture", state("No authorisation is open, so there is nothing to capture.")),
            ("refund", state(NONE_CAPTURED)),
            ("cancel", ALLOWED),
            ("returns", state(NONE_DELIVERED)),
            ("receive", state(NO_RETURN)),
            ("reject", state(NO_RETURN)),
            ("hold", ALLOWED),
            ("unhold", state("The order is not on hold.")),
            ("complete", state(NOT_ARRIVED)),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_held_order_with_parcels_under_way_says_what_the_hold_stops() {
    let some = r#"{"tracking_number":"t","carrier":"UPS","items":[{"Line":1,"Quantity":1}]}"#;
    let order = order_after([PAID, RESERVED, ("ship", some), HELD]).await;
    check(
        &order,
        [
            ("payment", state(ALL_COVERED)),
            ("decline", ALLOWED),
            ("void", ALLOWED),
            ("reserve", ON_HOLD),
            ("release", ALLOWED),
            ("ship", ON_HOLD),
            ("deliver", ALLOWED),
            ("lost", ALLOWED),
            ("capture", ON_HOLD),
            ("refund", state(NONE_CAPTURED)),
            ("cancel", ALLOWED),
            ("returns", state(NONE_DELIVERED)),
            ("receive", state(NO_RETURN)),
            ("reject", state(NO_RETURN)),
            ("hold", state("The order is on hold already.")),
            ("unhold", ALLOWED),
            ("complete", ON_HOLD),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_order_that_arrived_with_a_return_open_waits_for_it() {
    let order = order_after(until_delivered().into_iter().chain([CAPTURED, ASKED_BACK])).await;
    check(
        &order,
        [
            ("payment", state(ALL_COVERED)),
            ("decline", ALLOWED),
            ("void", state("No authorisation is open, so there is nothing to void.")),
            ("reserve", state("No unit is open that is not reserved already.")),
            ("release", state(NONE_HELD)),
            ("ship", state(NONE_RESERVED)),
            ("deliver", state(NONE_UNDER_WAY)),
            ("lost", state(NONE_UNDER_WAY)),
            ("capture", state("No authorisation is open, so there is nothing to capture.")),
            ("refund", ALLOWED),
            (
                "cancel",
                Some(("already-shipped", "No unit is open, and what was shipped can only be returned.")),
            ),
            ("returns", ALLOWED),
            ("receive", ALLOWED),
            ("reject", ALLOWED),
            ("hold", ALLOWED),
            ("unhold", state("The order is not on hold.")),
            ("complete", state("A return is open; receive or reject it first.")),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_refusal_allows_is_what_the_actions_say() {
    let order = order_after([PAID]).await;
    let refused = order.post("ship", SHIPPED.1).await.refuses(409, "invalid-transition").json();
    assert_eq!(
        refused["allowed_actions"],
        serde_json::json!(["decline", "void", "reserve", "capture", "cancel", "hold"])
    );
}

#[tokio::test]
async fn the_answer_has_the_orders_version_and_takes_no_parameters() {
    let h = Harness::with_order().await;
    h.get("/orders/ord-001/actions").await.has("etag", "\"1\"").has("content-type", "application/json");
    h.get("/orders/ord-001/actions?view=full&x=1").await.has_faults(&["view", "x"]);
    for nobody in ["nobody", "a%2Fb"] {
        h.get(&format!("/orders/{nobody}/actions")).await.refuses(404, "order-not-found");
    }
    h.post("/orders/ord-001/actions", "{}").await.refuses(405, "method-not-allowed");
}
