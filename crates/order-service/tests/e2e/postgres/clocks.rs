//! An instance whose clock is days ahead, beside one whose clock is right: the database's clock tells which.

use std::time::{Duration, Instant};

use test_servers::{PostgresOptions, PostgresServer};

use super::scenario::serving;
use super::sql::Session;
use crate::faults::clock::wrong_clock;
use crate::http::{Answer, post_under};
use crate::server::{Server, wait_until};

/// An order that nobody has named, under a key.
fn place_under_key(server: &Server) -> Answer {
    let order = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
    let mut client = server.connect();
    client.send(post_under("the-key", "/orders", order).as_bytes()).unwrap();
    client.answer().unwrap()
}

fn place_to_be_paid_within_a_day(server: &Server) {
    let order = r#"{"order_id":"unpaid","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}],"pay_within_seconds":86400}"#;
    assert_eq!(server.post("/orders", order).status, 201);
}

fn timers(server: &Server) -> serde_json::Value {
    let ready = server.get("/ready");
    assert_eq!(ready.status, 200, "{ready:?}");
    ready.json()["checks"]["timers"].clone()
}

#[test]
fn an_instance_whose_clock_is_days_ahead_forgets_no_keys_and_fires_no_timers() {
    let directory = tempfile::tempdir().unwrap();
    let clock = wrong_clock(directory.path());
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let right = serving(&database.url()).start();
    let placed = place_under_key(&right);
    assert_eq!(placed.status, 201);
    place_to_be_paid_within_a_day(&right);

    let two_days = (2 * 86_400).to_string();
    let wrong = serving(&database.url())
        .variable("LD_PRELOAD", clock)
        .variable("CLOCK_OFFSET_SECONDS", two_days)
        .start();
    // Now it is the only one that could.
    right.stop();
    let look_until = Instant::now() + Duration::from_secs(6);
    let receipts =
        || Session::open(&database.url()).value::<i64>("SELECT count(*) FROM order_service.receipts");
    wait_until("it has had the time", || {
        assert_eq!(receipts(), 1, "its clock has made all receipts old");
        assert_eq!(wrong.get("/orders/unpaid").json()["Status"], "placed");
        (Instant::now() > look_until).then_some(())
    });
    let timers_of_wrong = timers(&wrong);
    assert_eq!(timers_of_wrong["state"], "paused", "{timers_of_wrong}");
    let detail = timers_of_wrong["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with(" seconds ahead of the database's"), "{detail}");
    let told = wrong.log().lines().filter(|line| line.contains("more than five minutes apart")).count();
    assert_eq!(told, 1, "{}", wrong.log());

    let right = serving(&database.url()).start();
    wait_until("the timers are left to it", || (timers(&right)["state"] == "running").then_some(()));
    assert_eq!(place_under_key(&right).body, placed.body);
    assert!(!right.log().contains("five minutes apart"), "{}", right.log());
    right.stop();
    wrong.stop();
}
