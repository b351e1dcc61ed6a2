//! Bodies whose values no command can have: everything is told at once, and nothing is stored.

use axum::body::Body;
use axum::http::Method;

use crate::harness::Harness;
use crate::life::*;

/// 2^53 and 2^63, the first numbers that are beyond what all readers hold exactly and beyond 64 bits, and others.
const NO_NUMBERS_OF_SOMETHING: [&str; 12] = [
    "0",
    "-0",
    "-1",
    "1.5",
    "1e-3",
    "9007199254740992",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e300",
    "\"1\"",
    "true",
];

#[tokio::test]
async fn an_amount_is_at_least_one_and_at_most_what_every_reader_holds_exactly() {
    let order = order_after(until_delivered().into_iter().chain([CAPTURED])).await;
    for (path, ids) in [
        ("payment", r#""payment_id":"n""#),
        ("payment/void", r#""void_id":"n","payment_id":"p""#),
        ("capture", r#""capture_id":"n""#),
        ("refund", r#""refund_id":"n""#),
    ] {
        for amount in NO_NUMBERS_OF_SOMETHING {
            let body = format!(r#"{{{ids},"amount_cents":{amount}}}"#);
            order.finds_faults(path, &body, &["/amount_cents"]).await;
        }
    }
}

#[tokio::test]
async fn a_quantity_is_between_one_and_a_million_wherever_units_are_named() {
    let order = order_after(until_delivered().into_iter().chain([ASKED_BACK])).await;
    for (path, ids) in [
        ("ship", r#""tracking_number":"n","carrier":"UPS","#),
        ("cancel", r#""cancellation_id":"n","#),
        ("returns", r#""return_id":"n","#),
        ("returns/x/receive", ""),
    ] {
        for quantity in NO_NUMBERS_OF_SOMETHING.into_iter().chain(["1000001"]) {
            let body = format!(
                r#"{{{ids}"items":[{{"SKU":"sku-1","Quantity":{quantity}}},{{"Line":1,"Quantity":{quantity}}}]}}"#
            );
            order.finds_faults(path, &body, &["/items/0/Quantity", "/items/1/Quantity"]).await;
        }
        for line in NO_NUMBERS_OF_SOMETHING.into_iter().chain(["1001"]) {
            let body = format!(r#"{{{ids}"items":[{{"Line":{line},"Quantity":1}}]}}"#);
            order.finds_faults(path, &body, &["/items/0/Line"]).await;
        }
    }
}

#[tokio::test]
async fn a_life_is_between_a_second_and_a_year() {
    let order = order_after([]).await;
    for (path, id) in [("payment", "payment_id"), ("reserve", "reservation_id")] {
        for seconds in NO_NUMBERS_OF_SOMETHING.into_iter().chain(["31536001"]) {
            let body = format!(r#"{{"{id}":"n","expires_in_seconds":{seconds}}}"#);
            order.finds_faults(path, &body, &["/expires_in_seconds"]).await;
        }
    }
    order.accepts("payment", r#"{"payment_id":"n","expires_in_seconds":31536000}"#).await;
}

#[tokio::test]
async fn every_fault_of_every_command_is_told_at_once() {
    let order = order_after(until_delivered().into_iter().chain([ASKED_BACK])).await;
    let long = "x".repeat(1_001);
    let reason = format!(r#""reason":"{long}""#);
    for (path, body, places) in [
        (
            "payment",
            r#"{"payment_id":"","amount_cents":"1","expires_in_seconds":0,"x":1}"#.to_owned(),
            &["/payment_id", "/amount_cents", "/expires_in_seconds", "/x"][..],
        ),
        ("payment/decline", format!(r#"{{{reason},"payment_id":5}}"#), &["/payment_id", "/reason"]),
        ("payment/decline", "{}".to_owned(), &["/payment_id", "/reason"]),
        (
            "payment/void",
            format!(r#"{{"void_id":" v","payment_id":null,"amount_cents":0,{reason}}}"#),
            &["/void_id", "/payment_id", "/amount_cents", "/reason"],
        ),
        ("payment/void", "{}".to_owned(), &["/void_id", "/payment_id"]),
        ("reserve/release", format!(r#"{{{reason}}}"#), &["/reservation_id", "/reason"]),
        ("ship", r#"{"carrier":"","items":{}}"#.to_owned(), &["/tracking_number", "/carrier", "/items"]),
        ("deliver", r#"{"tracking_number":"","Tracking":1}"#.to_owned(), &["/tracking_number", "/Tracking"]),
        ("lost", format!(r#"{{{reason}}}"#), &["/tracking_number", "/reason"]),
        (
            "capture",
            r#"{"amount_cents":-1,"payment_id":[]}"#.to_owned(),
            &["/capture_id", "/amount_cents", "/payment_id"],
        ),
        (
            "refund",
            format!(r#"{{"amount_cents":0.5,"payment_id":"","repay":"true",{reason}}}"#),
            &["/refund_id", "/amount_cents", "/payment_id", "/repay", "/reason"],
        ),
        (
            "cancel",
            format!(r#"{{"items":[{{}},{{"SKU":"a","Line":1,"Quantity":1}}],{reason}}}"#),
            &["/cancellation_id", "/items/0/SKU", "/items/0/Quantity", "/items/1/Line", "/reason"],
        ),
        (
            "returns",
            format!(r#"{{"return_id":"a/b","items":[],{reason}}}"#),
            &["/return_id", "/items", "/reason"],
        ),
        (
            "returns/x/receive",
            r#"{"items":[7],"restock":null,"restok":1}"#.to_owned(),
            &["/items/0", "/restok"],
        ),
        ("returns/x/reject", format!(r#"{{{reason},"items":[]}}"#), &["/reason", "/items"]),
        ("hold", format!(r#"{{{reason},"until":1}}"#), &["/reason", "/until"]),
        ("unhold", r#"{"reason":7}"#.to_owned(), &["/reason"]),
        ("complete", r#"{"reason":"done"}"#.to_owned(), &["/reason"]),
    ] {
        order.finds_faults(path, &body, places).await;
    }
}

#[tokio::test]
async fn no_body_counts_as_an_empty_object_only_where_nothing_has_to_be_said() {
    let may_be_missing = ["deliver", "hold", "unhold", "complete", "returns/x/reject"];
    for (path, _) in COMMANDS {
        let h = Harness::with_order().await;
        let path_of_order = format!("/orders/ord-001/{path}");
        let bare = h.send(Method::POST, &path_of_order, &[], Body::empty()).await;
        let announced = h.post(&path_of_order, "").await;
        if may_be_missing.contains(&path) {
            let as_object = h.post(&path_of_order, "{}").await;
            assert_eq!(announced.text(), as_object.text(), "{path}");
            assert_eq!(bare.text(), as_object.text(), "{path}");
        } else {
            bare.refuses(415, "unsupported-media-type");
            announced.refuses(400, "malformed-request");
            assert_eq!(h.event_count().await, 1, "{path}");
        }
        // A body that is there has to be one.
        h.post(&path_of_order, " ").await.refuses(400, "malformed-request");
        h.send(Method::POST, &path_of_order, &[], Body::from("{}"))
            .await
            .refuses(415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn numbers_that_no_type_holds_and_keys_that_come_twice_cannot_be_read() {
    let order = order_after([PAID]).await;
    for body in [
        r#"{"capture_id":"c","amount_cents":1e400}"#,
        r#"{"capture_id":"c","amount_cents":1,"amount_cents":2}"#,
        r#"{"capture_id":"c","amount_cents":01}"#,
        r#"{"capture_id":"c","amount_cents":NaN}"#,
        r#"{"capture_id":"c"}{}"#,
    ] {
        order.post("capture", body).await.refuses(400, "malformed-request");
    }
    assert_eq!(order.harness().event_count().await, 2);
}
