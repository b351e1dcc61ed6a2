//! An order as it was: `?version=` and `?as_of=`.

use std::time::Duration;

use crate::harness::{Answer, Harness};

/// Placed at 06:48:48, paid two seconds later, reserved in the same instant, shipped a second after that.
async fn shipped() -> Harness {
    let h = Harness::with_order().await;
    h.advance(Duration::from_secs(2));
    h.post("/orders/ord-001/payment", r#"{"payment_id":"p"}"#).await.has("etag", "\"2\"");
    h.post("/orders/ord-001/reserve", r#"{"reservation_id":"r"}"#).await.has("etag", "\"3\"");
    h.advance(Duration::from_micros(1_000_001));
    h.post("/orders/ord-001/ship", r#"{"tracking_number":"t","carrier":"UPS"}"#).await.has("etag", "\"4\"");
    h
}

async fn as_it_was(h: &Harness, query: &str) -> Answer {
    h.get(&format!("/orders/ord-001?{query}")).await
}

fn basic(status: &str, updated: u32) -> String {
    format!(
        r#"{{"OrderID":"ord-001","CustomerID":"cust-123","Status":"{status}","TotalCents":3000,"LastUpdated":{updated}}}"#
    )
}

#[tokio::test]
async fn an_order_is_shown_as_it_was_at_each_version() {
    let h = shipped().await;
    for (version, status, updated) in [
        (1, "placed", 1_764_917_328),
        (2, "payment_authorized", 1_764_917_330),
        (3, "inventory_reserved", 1_764_917_330),
        (4, "shipped", 1_764_917_331),
    ] {
        let answer = as_it_was(&h, &format!("version={version}")).await;
        answer.is(200, &basic(status, updated)).has("etag", &format!("\"{version}\""));
    }
    let (now, last) = (h.get("/orders/ord-001?view=full").await, as_it_was(&h, "view=full&version=4").await);
    assert_eq!(now.text(), last.text());
}

#[tokio::test]
async fn an_order_that_was_not_yet_or_not_that_far_is_not_found() {
    let h = shipped().await;
    for query in [
        "version=0",
        "version=5",
        "version=9223372036854775808",
        "version=18446744073709551616",
        "as_of=2025-12-05T06:48:47.999999Z",
        "as_of=1969-12-31T23:59:59Z",
    ] {
        for view in ["", "&view=full"] {
            as_it_was(&h, &format!("{query}{view}")).await.refuses(404, "order-not-found");
        }
    }
    h.get("/orders/nobody?version=1").await.refuses(404, "order-not-found");
    h.get("/orders/nobody?as_of=2100-01-01T00:00:00Z").await.refuses(404, "order-not-found");
}

#[tokio::test]
async fn a_time_shows_the_last_version_up_to_it_and_the_future_is_now() {
    let h = shipped().await;
    for (time, version) in [
        ("2025-12-05T06:48:48Z", 1),
        ("2025-12-05T06:48:49.999999Z", 1),
        ("2025-12-05T06:48:50Z", 3),
        ("2025-12-05T06:48:51.000000Z", 3),
        ("2025-12-05T06:48:51.000001Z", 4),
        ("2100-01-01T00:00:00Z", 4),
        ("2025-12-05T07:48:50%2B01:00", 3),
        ("2025-12-04T22:48:50-08:00", 3),
        // A plus sign that nobody escaped arrives as a space, and is meant all the same.
        ("2025-12-05T07:48:50+01:00", 3),
        ("2025-12-05t06:48:50z", 3),
    ] {
        let answer = as_it_was(&h, &format!("as_of={time}&view=full")).await;
        assert_eq!(answer.status, 200, "{time}: {}", answer.text());
        assert_eq!(answer.json()["Version"], version, "{time}");
        answer.has("etag", &format!("\"{version}\""));
    }
}

#[tokio::test]
async fn a_time_has_an_offset_and_a_version_is_a_whole_number_and_only_one_of_them_is_given() {
    let h = shipped().await;
    for time in [
        "2025-12-05T06:48:50",
        "2025-12-05",
        "2025-12-05T06:48Z",
        "2025-12-05T06:48:50.Z",
        "2025-12-05T06:48:50%2B0100",
        "2025-12-05T06:48:50%2B25:00",
        "2025-02-30T06:48:50Z",
        "2025-12-05%2006:48:50Z",
        "1764917330",
        "now",
        "",
    ] {
        as_it_was(&h, &format!("as_of={time}")).await.has_faults(&["as_of"]);
    }
    for version in ["-1", "1.0", "%2B1", "one", "", "%22", "0x1"] {
        as_it_was(&h, &format!("version={version}")).await.has_faults(&["version"]);
    }
    as_it_was(&h, "version=1&as_of=2025-12-05T06:48:50Z").await.has_faults(&["as_of"]);
    as_it_was(&h, "version=1&version=1").await.has_faults(&["version"]);
    as_it_was(&h, "as_of=2100-01-01T00:00:00Z&as_of=2100-01-01T00:00:00Z").await.has_faults(&["as_of"]);
    as_it_was(&h, "version=x&as_of=y&view=z&Version=1")
        .await
        .has_faults(&["version", "as_of", "view", "Version"]);
    h.get("/orders?as_of=2100-01-01T00:00:00Z&version=1").await.has_faults(&["as_of", "version"]);
}

#[tokio::test]
async fn what_the_client_has_of_an_earlier_version_is_not_sent_again() {
    let h = shipped().await;
    for query in [
        "version=2",
        "version=2&view=full",
        "as_of=2025-12-05T06:48:49Z",
        "as_of=2100-01-01T00:00:00Z&view=full",
    ] {
        let path = format!("/orders/ord-001?{query}");
        let whole = h.get(&path).await;
        let tag = whole.header("etag").unwrap().to_owned();
        h.get_with(&path, &[("if-none-match", &tag)]).await.is(304, "").has("etag", &tag);
        h.get_with(&path, &[("if-none-match", "*")]).await.is(304, "").has("etag", &tag);
        h.get_with(&path, &[("if-none-match", "\"3\"")]).await.is(200, whole.text()).has("etag", &tag);
    }
    h.get_with("/orders/ord-001?version=5", &[("if-none-match", "*")]).await.refuses(404, "order-not-found");
}
