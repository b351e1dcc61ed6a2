//! The base workflow, byte for byte.

use crate::http::{Answer, Client};
use crate::server::{Program, Server};

/// Each command and its answer.
const COMMANDS: [(&str, &str, u16, &str); 4] = [
    (
        "/orders",
        r#"{"order_id":"ord-001","customer_id":"cust-123","items":[{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500}]}"#,
        201,
        r#"{"order_id":"ord-001"}"#,
    ),
    (
        "/orders/ord-001/payment",
        r#"{"payment_id":"pay-001","amount_cents":3000}"#,
        202,
        r#"{"status":"accepted"}"#,
    ),
    ("/orders/ord-001/reserve", r#"{"reservation_id":"res-001"}"#, 202, r#"{"status":"accepted"}"#),
    (
        "/orders/ord-001/ship",
        r#"{"tracking_number":"1Z999","carrier":"UPS"}"#,
        202,
        r#"{"status":"accepted"}"#,
    ),
];

/// What was read after each command.
const STATUSES: [&str; 4] = ["placed", "payment_authorized", "inventory_reserved", "shipped"];

fn assert_answer(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text()), (status, body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// The order's view, but for when it was last updated, which is no longer ago than a minute.
#[track_caller]
fn assert_view(client: &mut Client, status: &str) {
    let answer = client.get("/orders/ord-001").unwrap();
    let updated = answer.json()["LastUpdated"].as_u64().unwrap();
    let view = format!(
        r#"{{"OrderID":"ord-001","CustomerID":"cust-123","Status":"{status}","TotalCents":3000,"LastUpdated":{updated}}}"#
    );
    assert_answer(&answer, 200, &view);
    assert_answer(&client.get("/orders").unwrap(), 200, &format!("[{view}]"));
}

pub(crate) fn run_through(server: &Server) {
    let mut client = server.connect();
    assert_answer(&client.get("/health").unwrap(), 200, r#"{"status":"ok"}"#);
    assert_answer(&client.get("/orders").unwrap(), 200, "[]");
    for (index, (path, body, status, expected)) in COMMANDS.into_iter().enumerate() {
        // The same again is answered the same, and changes nothing.
        for _ in 0..2 {
            assert_answer(&client.post(path, body).unwrap(), status, expected);
            assert_view(&mut client, STATUSES[index]);
        }
    }
    assert_eq!(client.get("/orders/ord-001/events").unwrap().json().as_array().unwrap().len(), 4);
}

/// Everything that can be read of the order.
fn reads(server: &Server) -> Vec<Answer> {
    ["/orders", "/orders/ord-001", "/orders/ord-001?view=full", "/orders/ord-001/events", "/events"]
        .map(|path| server.get_undated(path))
        .into()
}

#[test]
fn the_workflow_is_answered_byte_for_byte_and_read_alike_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    run_through(&server);
    let before = reads(&server);
    server.stop();

    let server = Program::serving(directory.path()).start();
    assert_eq!(reads(&server), before);
    // A retry of what was done before the restart is answered as it was then.
    for (path, body, status, expected) in COMMANDS {
        assert_answer(&server.post(path, body), status, expected);
    }
    assert_eq!(reads(&server), before);
    server.stop();
}

#[test]
fn the_memory_store_answers_alike_and_forgets_at_exit() {
    let server = Program::serve().argument("--store", "memory:").start();
    run_through(&server);
    server.stop();
    let server = Program::serve().argument("--store", "memory:").start();
    assert_answer(&server.get("/orders"), 200, "[]");
    server.stop();
}

#[test]
fn without_a_command_it_serves_from_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::new(["--listen", ":0"]).in_directory(directory.path()).start();
    run_through(&server);
    assert!(directory.path().join("data/orders.db").exists());
    server.stop();
}
