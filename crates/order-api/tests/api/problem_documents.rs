//! Refusals that are not about an order's state, whole and byte for byte. Those that are stand with their commands.

use axum::body::Body;
use axum::http::Method;

use crate::harness::{Answer, Harness};

const PAYMENT: &str = "/orders/ord-001/payment";

/// The problem is made of these, and of `more` members.
#[track_caller]
fn is(answer: Answer, status: u16, code: &str, title: &str, detail: &str, instance: &str, more: &str) {
    let problem = format!(
        r#"{{"type":"/problems/{code}","title":"{title}","status":{status},"detail":"{detail}","instance":"{instance}","code":"{code}"{more}}}"#
    );
    answer.is(status, &problem).has("content-type", "application/problem+json");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_before_it_is_understood() {
    let h = Harness::with_order().await;
    let detail = "The body is not JSON: EOF while parsing a value at line 1 column 14.";
    let answer = h.post(PAYMENT, r#"{"payment_id":"#).await;
    is(answer, 400, "malformed-request", "The request cannot be read", detail, PAYMENT, "");
    let detail = "The body must be sent uncompressed with Content-Type: application/json.";
    let answer = h.send(Method::POST, PAYMENT, &[], Body::from("{}")).await;
    is(answer, 415, "unsupported-media-type", "The body must be application/json", detail, PAYMENT, "");
    let detail = "The body may have at most 1048576 bytes.";
    let answer = h.post(PAYMENT, &" ".repeat(1_048_577)).await;
    is(answer, 413, "body-too-large", "The body is too large", detail, PAYMENT, "");
    assert_eq!(h.event_count().await, 1);
}

#[tokio::test]
async fn faults_are_listed_with_their_places() {
    let h = Harness::with_order().await;
    let answer = h.post(&format!("{PAYMENT}?x=1"), r#"{"amount_cents":0.5}"#).await;
    let errors = concat!(
        r#","errors":[{"parameter":"x","detail":"is not a parameter of this resource"},"#,
        r#"{"pointer":"/payment_id","detail":"is required"},"#,
        r#"{"pointer":"/amount_cents","detail":"must be a whole number from 0 to 9007199254740991"}]"#,
    );
    let title = "The request has faults";
    is(answer, 422, "validation-failed", title, "The request has 3 faults; see errors.", PAYMENT, errors);
    let cancel = "/orders/ord-001/cancel";
    let answer = h.post(cancel, r#"{"items":[{"Line":1,"Quantity":1}]}"#).await;
    let errors = r#","errors":[{"pointer":"/cancellation_id","detail":"is required with items"}]"#;
    is(answer, 422, "validation-failed", title, "The request has one fault; see errors.", cancel, errors);
    assert_eq!(h.event_count().await, 1);
}

#[tokio::test]
async fn a_parcel_that_has_to_be_named_is_a_fault_at_its_member() {
    let h = Harness::with_order().await;
    let accepted = r#"{"status":"accepted"}"#;
    h.post(PAYMENT, r#"{"payment_id":"p"}"#).await.is(202, accepted);
    h.post("/orders/ord-001/reserve", r#"{"reservation_id":"r"}"#).await.is(202, accepted);
    for parcel in ["t", "u"] {
        let body = format!(
            r#"{{"tracking_number":"{parcel}","carrier":"UPS","items":[{{"Line":1,"Quantity":1}}]}}"#
        );
        h.post("/orders/ord-001/ship", &body).await.is(202, accepted);
    }
    let deliver = "/orders/ord-001/deliver";
    let errors = concat!(
        r#","errors":[{"pointer":"/tracking_number","#,
        r#""detail":"the order had more than one parcel, so the tracking number is needed"}]"#,
    );
    let detail = "The request has one fault; see errors.";
    let answer = h.post(deliver, "").await;
    is(answer, 422, "validation-failed", "The request has faults", detail, deliver, errors);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let h = Harness::with_order().await;
    let detail = "There is nothing at this path.";
    let answer = h.post("/orders/ord-001/refunds", "{}").await;
    is(answer, 404, "not-found", "No such resource", detail, "/orders/ord-001/refunds", "");
    let detail = "This path does not answer this method; see the Allow header.";
    let answer = h.get("/orders/ord-001/capture").await;
    let title = "The method does not apply here";
    is(answer, 405, "method-not-allowed", title, detail, "/orders/ord-001/capture", "");
}

#[tokio::test]
async fn a_stale_tag_is_refused_with_what_the_order_is_now() {
    let h = Harness::with_order().await;
    let answer = h.post_with(PAYMENT, &[("if-match", "\"2\"")], r#"{"payment_id":"p"}"#).await;
    let facts =
        r#","order_status":"placed","version":1,"allowed_actions":["payment","decline","cancel","hold"]"#;
    is(
        answer,
        412,
        "version-mismatch",
        "The order moved on",
        "The order is not at the version that the request names.",
        PAYMENT,
        facts,
    );
    assert_eq!(h.event_count().await, 1);
}
