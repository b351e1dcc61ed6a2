//! What orders do by themselves, with the real binary and the real clock.

use serde_json::Value;

use crate::server::{Program, Server, wait_until};

/// An order that is paid, and whose units are reserved for two seconds.
fn reserve_for_a_moment(server: &Server, order_id: &str) {
    let line = r#"{"SKU":"s","Quantity":1,"UnitPriceCents":100}"#;
    let placement = format!(r#"{{"order_id":"{order_id}","customer_id":"c","items":[{line}]}}"#);
    assert_eq!(server.post("/orders", &placement).status, 201);
    let order = format!("/orders/{order_id}");
    assert_eq!(server.post(&format!("{order}/payment"), r#"{"payment_id":"p"}"#).status, 202);
    let reservation = r#"{"reservation_id":"r","expires_in_seconds":2}"#;
    assert_eq!(server.post(&format!("{order}/reserve"), reservation).status, 202);
}

fn status(server: &Server, order_id: &str) -> String {
    server.get(&format!("/orders/{order_id}")).json()["Status"].as_str().unwrap().to_owned()
}

/// The data of every event of a type.
pub(crate) fn data_of(server: &Server, order_id: &str, event_type: &str) -> Vec<Value> {
    let events = server.get(&format!("/orders/{order_id}/events?type={event_type}")).json();
    events.as_array().unwrap().iter().map(|event| event["data"].clone()).collect()
}

#[test]
fn a_reservation_runs_out_also_over_a_kill_and_is_released_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    reserve_for_a_moment(&server, "o");
    assert_eq!(status(&server, "o"), "inventory_reserved");
    server.kill();

    let server = Program::serving(directory.path()).start();
    wait_until("it has run out", || (status(&server, "o") == "payment_authorized").then_some(()));
    let timers = server.get("/ready").json()["checks"]["timers"].clone();
    assert_eq!(timers["state"], "running", "{timers}");
    server.stop();

    let server = Program::serving(directory.path()).start();
    wait_until("timers fire", || {
        (server.get("/ready").json()["checks"]["timers"]["state"] == "running").then_some(())
    });
    let released = data_of(&server, "o", "order.reservation_released.v1");
    let units = serde_json::json!([{"reservation_id": "r", "units": [{"line": 1, "quantity": 1}]}]);
    assert_eq!(released, [serde_json::json!({"reservations": units, "cause": "expired"})]);
    server.stop();
}

#[test]
fn an_order_that_is_not_paid_in_time_is_cancelled() {
    let server = Program::serve().argument("--store", "memory:").start();
    let line = r#"{"SKU":"s","Quantity":1,"UnitPriceCents":100}"#;
    let placement =
        format!(r#"{{"order_id":"o","customer_id":"c","items":[{line}],"pay_within_seconds":1}}"#);
    assert_eq!(server.post("/orders", &placement).status, 201);
    wait_until("its time is over", || (status(&server, "o") == "cancelled").then_some(()));
    let late = server.post("/orders/o/payment", r#"{"payment_id":"p"}"#);
    assert_eq!((late.status, late.code()), (409, "invalid-transition".to_owned()));
    server.stop();
}
