//! The scrubber beside a running server, as `/ready` shows it.

use serde_json::Value;

use crate::damage::{edit_views, stopped_store, view_reads};
use crate::server::{Program, Server, wait_until};

/// What `/ready` says of something.
fn check(server: &Server, name: &str) -> Value {
    server.get("/ready").json()["checks"][name].clone()
}

fn place(server: &Server, order_id: &str) {
    let line = r#"{"SKU":"s","Quantity":1,"UnitPriceCents":1}"#;
    let placement = format!(r#"{{"order_id":"{order_id}","customer_id":"c","items":[{line}]}}"#);
    assert_eq!(server.post("/orders", &placement).status, 201);
}

#[test]
fn the_views_are_compared_with_the_log_and_ready_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    (0..5).for_each(|n| place(&server, &format!("o-{n}")));
    server.stop();

    let server = Program::serving(directory.path()).start();
    let scrub = wait_until("a pass has ended", || {
        let scrub = check(&server, "scrub");
        (scrub["passes"] == 1).then_some(scrub)
    });
    assert_eq!((&scrub["position"], &scrub["of"], &scrub["faults"]), (&5.into(), &5.into(), &0.into()));
    assert_eq!(check(&server, "views"), serde_json::json!({ "state": "current" }));
    server.stop();
}

#[test]
fn without_a_rate_they_are_not() {
    let server = Program::serve().argument("--store", "memory:").argument("--scrub-rate", "0").start();
    assert_eq!(check(&server, "scrub"), Value::Null);
    assert_eq!(check(&server, "views"), serde_json::json!({ "state": "current" }));
    server.stop();
}

#[test]
fn damage_that_nobody_reads_is_noticed_and_repaired() {
    let directory = stopped_store("customer");
    let server = Program::serving(directory.path()).start();
    let before = view_reads(&server);
    server.stop();
    edit_views(&directory, "UPDATE orders SET status = 'shipped' WHERE order_id = 'b'");

    let server = Program::serving(directory.path()).start();
    wait_until("other views are served", || {
        let others = directory.path().join("orders.views.2.db").exists();
        (others && check(&server, "views")["state"] == "current").then_some(())
    });
    wait_until("they have been compared, too", || (check(&server, "scrub")["passes"] == 1).then_some(()));
    assert!(check(&server, "scrub")["faults"].as_u64() > Some(0), "it is counted");
    assert_eq!(view_reads(&server), before);
    assert!(server.log().contains("the views are damaged"), "{}", server.log());
    server.stop();
}
