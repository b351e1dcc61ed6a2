//! Logs: JSON where nobody watches, and nothing in them that belongs to a customer.

use rustix::process::Signal;
#[cfg(feature = "full-tests")]
use test_servers::{NatsOptions, NatsServer};

use crate::http::post;
use crate::server::{Program, Server, wait_until};

/// What a client may give, in every field that takes text.
const CANARY: &str = "canary-7f3a";

/// Whatever a client might do, right or wrong.
fn do_everything(server: &Server) {
    let placement = format!(
        r#"{{"order_id":"o","customer_id":"{CANARY}","items":[{{"SKU":"{CANARY}","Quantity":1,"UnitPriceCents":1}}],
            "adjustments":[{{"kind":"tax","label":"{CANARY}","amount_cents":1}}],"metadata":{{"{CANARY}":"{CANARY}"}}}}"#
    );
    let commands = [
        ("/orders", placement.clone()),
        ("/orders/o/payment", format!(r#"{{"payment_id":"{CANARY}"}}"#)),
        ("/orders/o/reserve", format!(r#"{{"reservation_id":"{CANARY}"}}"#)),
        ("/orders/o/ship", format!(r#"{{"tracking_number":"{CANARY}","carrier":"{CANARY}"}}"#)),
        // Refused, for every kind of reason.
        ("/orders", placement.replace("Quantity\":1", "Quantity\":2")),
        ("/orders", format!(r#"{{"customer_id":"{CANARY}\u0000","items":"{CANARY}"}}"#)),
        ("/orders", format!(r#"{{"customer_id":"{CANARY}""#)),
        ("/orders/o/payment", format!(r#"{{"payment_id":"{CANARY}-2","amount_cents":9}}"#)),
        (&format!("/{CANARY}"), placement.clone()),
        (&format!("/orders?customer_id={CANARY}"), placement.clone()),
    ]
    .map(|(path, body)| (path.to_owned(), body));
    for (index, (path, body)) in commands.into_iter().enumerate() {
        let answer = server.post(&path, &body);
        assert_eq!(answer.status < 300, index < 4, "{path} {body}: {answer:?}");
        // And once more by somebody who hangs up.
        let half = post(&path, &body);
        server.connect().send(&half.as_bytes()[..half.len() - 9]).unwrap();
    }
    for path in ["/orders", "/orders/o?view=full", "/events", &format!("/orders?status={CANARY}")] {
        server.get(path);
    }
    let mut client = server.connect();
    client.send(format!("{CANARY} {CANARY} {CANARY}\r\n\r\n").as_bytes()).unwrap();
    let _ = client.rest();
}

#[test]
fn logs_are_json_lines_and_hold_nothing_of_a_customers() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Program::serving(directory.path()).start();
    do_everything(&server);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    assert!(!log.contains(CANARY), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "serving"), "{log}");
    assert!(lines.iter().any(|line| line["message"] == "stopped"), "{log}");
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

pub(crate) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// What ties a request to others.
pub(crate) const TIES: &str =
    "X-Correlation-Id: tied\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[test]
fn at_debug_each_request_is_a_line_with_its_route_its_order_and_its_correlation_id() {
    let mut server = Program::serve().argument("--store", "memory:").argument("--log", "debug").start();
    let order = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
    let order_id = server.post("/orders", order).json()["order_id"].as_str().unwrap().to_owned();
    let payment = format!("/orders/{order_id}/payment");
    let request = post(&payment, r#"{"payment_id":"p"}"#).replace("\r\n\r\n", &format!("\r\n{TIES}\r\n\r\n"));
    let mut client = server.connect();
    client.send(request.as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 202);
    assert_eq!(server.get(&format!("/orders/{order_id}?view=x")).status, 422);
    assert_eq!(server.get("/nowhere").status, 404);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));

    let log = server.log();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let answered: Vec<_> = lines.filter(|line| line["message"] == "answered").collect();
    let told: Vec<_> = answered
        .iter()
        .map(|line| {
            let span = &line["span"];
            [&span["method"], &span["route"], &span["order_id"], &line["status"]]
                .map(ToString::to_string)
                .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            format!(r#""POST" "/orders" "{order_id}" 201"#),
            format!(r#""POST" "/orders/{{id}}/payment" "{order_id}" 202"#),
            format!(r#""GET" "/orders/{{id}}" "{order_id}" 422"#),
            r#""GET" null null 404"#.to_owned(),
        ],
        "{log}"
    );
    assert!(answered[0]["span"]["correlation_id"].is_string(), "made: {log}");
    assert_eq!(answered[1]["span"]["correlation_id"], "tied");
    assert_eq!(answered[1]["span"]["trace_id"], TRACE_ID);
    assert!(answered[0]["span"]["trace_id"].is_null(), "nobody traces it: {log}");
    assert!(answered.iter().all(|line| line["micros"].is_u64()), "{log}");
}

/// What a relay says of itself.
fn relay_lines(server: &Server) -> Vec<serde_json::Value> {
    let lines = server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>();
    lines.into_iter().filter(|line: &serde_json::Value| line["follower"] == "nats/ORDERS").collect()
}

#[test]
fn figures_are_numbers_and_nobody_is_told_that_events_are_relayed_which_are_not() {
    let server =
        Program::serve().argument("--store", "memory:").argument("--bus", "nats://127.0.0.1:1").start();
    let told = wait_until("the relay says that it cannot go on", || relay_lines(&server).pop());
    assert_eq!((&told["level"], &told["position"]), (&"WARN".into(), &0.into()));
    assert!(!server.log().contains("events are relayed"), "{}", server.log());
    server.stop();
}

#[cfg(feature = "full-tests")]
#[test]
fn that_events_are_relayed_is_said_when_they_are() {
    let nats = NatsServer::start(&NatsOptions::default()).unwrap();
    let server = Program::serve().argument("--store", "memory:").argument("--bus", nats.url()).start();
    let told = wait_until("the relay says how it is", || relay_lines(&server).pop());
    assert_eq!((&told["message"], &told["position"]), (&"events are relayed".into(), &0.into()));
    server.stop();
}

#[test]
fn text_is_for_people_when_they_ask_for_it() {
    let server = Program::serve().argument("--store", "memory:").argument("--log-format", "text").start();
    wait_until("it logs", || (!server.log().is_empty()).then_some(()));
    let log = server.log();
    assert!(log.contains("INFO serving") && !log.contains('{') && !log.contains('\u{1b}'), "{log:?}");
    server.stop();
}

#[test]
fn a_filter_silences() {
    let mut server = Program::serve().argument("--store", "memory:").argument("--log", "warn").start();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.log(), "");
}
