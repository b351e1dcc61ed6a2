//! Collectors that hang, refuse, answer nonsense, or are away.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Collecting, Collector, ORDER, caller, serving, tracing_to};
use crate::http::post;
use crate::server::{Program, Server, wait_until};

/// Requests that are traced.
const REQUESTS: usize = 5_000;
/// How long the slowest may take, busy machines included. Whoever waited for a collector that hangs would wait for longer.
const SLOWEST: Duration = Duration::from_secs(2);
/// How long a server may take to stop that has nothing to do but to give up its collector.
const STOPS_WITHIN: Duration = Duration::from_secs(8);

/// Places orders that are all traced, one after the other on one connection, and answers with how long the slowest took.
fn place_all(server: &Server) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut client = server.connect();
    for n in 0..REQUESTS {
        let began = Instant::now();
        let request = post("/orders", &ORDER.replace("\"o\"", &format!("\"o{n}\"")));
        let header = format!("\r\ntraceparent: {}\r\n", caller(true));
        client.send(request.replacen("\r\n", &header, 1).as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, 201);
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

fn spans(server: &Server, outcome: &str) -> f64 {
    let metrics = server.get("/metrics");
    let line = format!("order_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let value = metrics.text().lines().find_map(|text| text.strip_prefix(&line)).expect("it is counted");
    value.parse().unwrap()
}

/// The server takes all orders as if there were no collector, tells of it once, counts what is dropped, and stops.
#[track_caller]
fn it_is_nobodys_trouble_but_the_collectors(program: Program) {
    let mut server = program.start();
    let slowest = place_all(&server);
    assert!(slowest < SLOWEST, "{slowest:?}");
    wait_until("what is dropped is counted", || {
        (spans(&server, "not_taken") + spans(&server, "no_room") > 0.0).then_some(())
    });
    wait_until("it is told", || server.log().contains("does not take spans").then_some(()));
    // And once more, as it goes on.
    place_some_more(&server);
    assert_eq!(spans(&server, "sent"), 0.0);
    let told = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(told.elapsed() < STOPS_WITHIN, "{:?}", told.elapsed());
    assert_eq!(server.log().matches("does not take spans").count(), 1, "{}", server.log());
    server.assert_no_panic();
}

fn place_some_more(server: &Server) {
    for n in 0..3 {
        let before = spans(server, "not_taken") + spans(server, "no_room");
        let header = format!("\r\ntraceparent: {}\r\n", caller(true));
        let request = post("/orders", &ORDER.replace("\"o\"", &format!("\"more{n}\"")));
        let mut client = server.connect();
        client.send(request.replacen("\r\n", &header, 1).as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, 201);
        wait_until("another batch is dropped", || {
            (spans(server, "not_taken") + spans(server, "no_room") > before).then_some(())
        });
    }
}

fn waiting_for(millis: &str, program: Program, protocol: &str) -> Program {
    program.variable("OTEL_EXPORTER_OTLP_TIMEOUT", millis).variable("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
}

fn impatient(program: Program, protocol: &str) -> Program {
    waiting_for("500", program, protocol)
}

#[test]
fn a_collector_that_hangs_blocks_nobody() {
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start(Collecting::Hangs);
        // Whoever waited for all that there is no room for would wait for a minute.
        let program = waiting_for("4000", tracing_to(&collector, serving()), protocol);
        it_is_nobodys_trouble_but_the_collectors(program);
        assert!(!collector.received().is_empty(), "it was asked");
    }
}

#[test]
fn a_collector_that_refuses_blocks_nobody() {
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start(Collecting::Refuses);
        it_is_nobodys_trouble_but_the_collectors(impatient(tracing_to(&collector, serving()), protocol));
    }
}

#[test]
fn a_collector_that_answers_nonsense_blocks_nobody() {
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start(Collecting::Garbage);
        it_is_nobodys_trouble_but_the_collectors(impatient(tracing_to(&collector, serving()), protocol));
    }
}

#[test]
fn a_collector_that_is_away_blocks_nobody() {
    for protocol in ["http/protobuf", "grpc"] {
        let away = serving().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        it_is_nobodys_trouble_but_the_collectors(impatient(away, protocol));
    }
}

/// With a default timeout the server does not wait for it when it stops.
#[test]
fn a_server_stops_in_time_whatever_its_collector_does() {
    let collector = Collector::start(Collecting::Hangs);
    let mut server = tracing_to(&collector, serving()).start();
    place_one(&server);
    wait_until("the collector was asked", || (!collector.received().is_empty()).then_some(()));
    place_one(&server);
    let told = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(told.elapsed() < STOPS_WITHIN, "{:?}", told.elapsed());
}

fn place_one(server: &Server) {
    assert_eq!(super::traced(server, "/orders", ORDER).status, 201);
}
