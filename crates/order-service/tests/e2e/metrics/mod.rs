//! `/metrics` of the real binary.

mod exposition;
mod table;
mod watching;

use std::time::{Duration, Instant};

use exposition::{Families, Format, parse};

use crate::hostile::operators::{operators_port, with_operators};
use crate::http::{Answer, Client};
use crate::server::{Program, Server, wait_until};
use crate::workflow;

/// Longest page that a scrape may be answered with.
const MAX_PAGE_BYTES: usize = 200 * 1024;
/// How long a scrape may take.
const MAX_SCRAPE: Duration = Duration::from_millis(20);

fn ask(port: u16, format: Format) -> Answer {
    let accept = match format {
        Format::Prometheus => "text/plain;version=0.0.4",
        Format::OpenMetrics => "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    };
    let mut client = Client::connect(port).unwrap();
    client
        .send(format!("GET /metrics HTTP/1.1\r\nhost: e2e\r\naccept: {accept}\r\n\r\n").as_bytes())
        .unwrap();
    client.answer().unwrap()
}

#[track_caller]
fn scrape_as(port: u16, format: Format) -> Families {
    let answer = ask(port, format);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = match format {
        Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    assert_eq!(answer.header("content-type"), Some(expected));
    parse(format, answer.text()).unwrap_or_else(|why| panic!("{why}\n{}", answer.text()))
}

#[track_caller]
fn scrape(port: u16) -> Families {
    scrape_as(port, Format::OpenMetrics)
}

/// The value with these labels, if it is there.
fn value(families: &Families, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let found = families.values().flat_map(|family| &family.samples).filter(|sample| sample.name == name);
    let mut found = found.filter(|sample| {
        labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
    });
    found.next().map(|sample| sample.value)
}

/// A server on which a little of everything has happened, with texts in it that are nobody's business.
fn busy_server() -> (Server, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let server = with_operators(Program::serving(directory.path()).argument("--log-format", "json")).start();
    workflow::run_through(&server);
    assert_eq!(server.post("/orders/ord-001/payment", r#"{"payment_id":"canary-payment"}"#).status, 409);
    assert_eq!(server.post("/orders/canary-order/cancel", "{}").status, 404);
    assert_eq!(server.post("/orders", "{").status, 400);
    assert_eq!(server.get("/canary-path?canary-query").status, 404);
    let mut client = server.connect();
    for _ in 0..2 {
        let request = "POST /orders HTTP/1.1\r\nhost: e2e\r\nidempotency-key: canary-key\r\ncontent-type: application/json\r\n\
            content-length: 131\r\nx-correlation-id: canary-correlation\r\n\r\n";
        let body = r#"{"customer_id":"canary-customer","items":[{"sku":"canary-sku","quantity":1,"unit_price_cents":1}],"metadata":{"a":"canary-value"}}"#;
        let request = request.replace("131", &body.len().to_string());
        client.send(format!("{request}{body}").as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, 201);
    }
    (server, directory)
}

#[test]
fn a_scrape_tells_what_has_happened() {
    let (server, _directory) = busy_server();
    let families = wait_until("orders are counted", || {
        let families = scrape(server.port());
        value(&families, "orders", &[("status", "cancelled")]).map(|_| families)
    });
    for (command, outcome, count) in [
        ("place", "accepted", 2.0),
        ("place", "repeated", 1.0),
        ("payment", "accepted", 1.0),
        ("payment", "refused", 1.0),
        ("cancel", "unknown_order", 1.0),
        ("answered_by_key", "repeated", 1.0),
        ("ship", "accepted", 1.0),
        ("complete", "accepted", 0.0),
    ] {
        let found = value(&families, "order_commands_total", &[("command", command), ("outcome", outcome)]);
        assert_eq!(found, Some(count), "{command} {outcome}");
    }
    let requests = |route, status| {
        let labels = [("http_route", route), ("http_response_status_code", status)];
        value(&families, "http_server_request_duration_seconds_count", &labels)
    };
    assert_eq!(requests("/orders/{id}/ship", "202"), Some(2.0));
    assert_eq!(requests("/orders", "400"), Some(1.0));
    assert_eq!(requests("/orders/{id}/cancel", "404"), Some(1.0));
    assert_eq!(requests("", "404"), Some(1.0));
    assert_eq!(value(&families, "http_server_active_requests", &[]), Some(1.0), "the scrape itself");
    assert_eq!(value(&families, "order_store_batch_appends_sum", &[]), Some(5.0));
    assert_eq!(value(&families, "order_store_queue_appends", &[]), Some(0.0));
    assert_eq!(value(&families, "order_views_state", &[("state", "current")]), Some(1.0));
    assert_eq!(value(&families, "order_timers_state", &[("state", "running")]), Some(1.0));
    assert_eq!(
        value(&families, "order_service_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        Some(1.0)
    );
    assert!(value(&families, "process_resident_memory_bytes", &[]) > Some(1e6));
    assert!(value(&families, "process_open_fds", &[]) > Some(3.0));
    assert!(value(&families, "http_server_open_connections", &[]) >= Some(1.0));
    let (bounds, kind) = (&families["http_server_request_duration_seconds"], "histogram");
    assert_eq!((bounds.kind.as_str(), bounds.unit.as_deref()), (kind, Some("seconds")));
    server.stop();
}

#[test]
fn requests_that_are_refused_for_their_heads_are_counted_by_what_is_wrong_with_them() {
    let (server, _directory) = busy_server();
    let long = format!("GET /health HTTP/1.1\r\nhost: e2e\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    for (head, status, reason) in [
        ("GET /health HTTP/1.1\r\nhost: e2e\r\nhost: e2e\r\n\r\n", 400, "not_one_host"),
        ("nonsense\r\n\r\n", 400, "malformed"),
        (&long, 431, "too_large"),
    ] {
        let mut client = server.connect();
        client.send(head.as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, status, "{reason}");
        drop(client);
        wait_until("it is counted", || {
            let counted =
                value(&scrape(server.port()), "http_server_refused_heads_total", &[("reason", reason)]);
            (counted == Some(1.0)).then_some(())
        });
    }
    server.stop();
}

#[test]
fn both_addresses_say_the_same_in_both_formats() {
    let (server, _directory) = busy_server();
    let names = |port, format| scrape_as(port, format).into_keys().collect::<Vec<_>>();
    let expected = names(server.port(), Format::OpenMetrics);
    assert!(expected.len() > 40, "{expected:?}");
    for port in [server.port(), operators_port(&server)] {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            assert_eq!(names(port, format), expected, "{format:?}");
        }
    }
    server.stop();
}

#[test]
fn nothing_that_clients_say_is_in_a_scrape() {
    let (server, _directory) = busy_server();
    let page = ask(server.port(), Format::OpenMetrics);
    for secret in ["canary", "ord-001", "cust-123", "pay-001", "1Z999", "res-001", "sku-1", "127.0.0.1"] {
        let line = page.text().lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
    server.stop();
}

#[test]
fn a_scrape_is_short_and_quick() {
    let (server, _directory) = busy_server();
    let timed = || {
        let asked = Instant::now();
        let answer = ask(server.port(), Format::OpenMetrics);
        (asked.elapsed(), answer.body.len())
    };
    let scrapes: Vec<_> = (0..20).map(|_| timed()).collect();
    let quickest = scrapes.iter().map(|(took, _)| *took).min().unwrap();
    let longest = scrapes.iter().map(|(_, bytes)| *bytes).max().unwrap();
    assert!(quickest < MAX_SCRAPE, "{quickest:?}");
    assert!(longest < MAX_PAGE_BYTES, "{longest} bytes");
    server.stop();
}

/// Scrapers that ask again and again and take nothing of what they are answered.
#[test]
fn scrapers_that_hang_block_nobody() {
    let (server, _directory) = busy_server();
    let ports = [server.port(), operators_port(&server)];
    let hanging: Vec<_> = ports
        .iter()
        .flat_map(|port| (0..20).map(move |_| Client::connect(*port).unwrap()))
        .map(|mut client| {
            let scrapes = "GET /metrics HTTP/1.1\r\nhost: e2e\r\n\r\n".repeat(100);
            client.send(scrapes.as_bytes()).unwrap();
            client
        })
        .collect();
    for port in ports {
        for path in ["/health", "/ready", "/metrics"] {
            let asked = Instant::now();
            assert_eq!(Client::connect(port).unwrap().get(path).unwrap().status, 200, "{path}");
            assert!(asked.elapsed() < Duration::from_secs(5), "{path} took {:?}", asked.elapsed());
        }
    }
    assert_eq!(server.post("/orders/ord-001/deliver", "{}").status, 202);
    drop(hanging);
    server.stop();
}

#[test]
fn a_service_that_starts_is_watched_already() {
    let directory = tempfile::tempdir().unwrap();
    let program = with_operators(Program::serving(directory.path()).argument("--log-format", "json"));
    let mut server = program.spawn();
    let port = wait_until("the operators' address is told", || {
        server.log().contains("operators are answered").then(|| operators_port(&server))
    });
    let families = scrape(port);
    assert!(families.contains_key("order_service_build_info") && families.contains_key("process_open_fds"));
    server.serves().unwrap();
    server.stop();
}
