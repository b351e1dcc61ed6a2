//! Traces of the real binary, sent to a collector.

pub(crate) mod collector;
#[cfg(feature = "full-tests")]
mod relayed;
mod settings;
mod trouble;

use rustix::process::Signal;

use crate::http::{Answer, post};
use crate::server::{Program, Server};
use collector::{Collecting, Collector, attribute, hex};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";
const ORDER: &str =
    r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;

/// The caller's `traceparent`, sampled or not.
fn caller(is_sampled: bool) -> String {
    format!("00-{TRACE_ID}-{CALLERS_SPAN}-0{}", u8::from(is_sampled))
}

/// A server that sends traces there.
fn tracing_to(collector: &Collector, program: Program) -> Program {
    program.variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
}

fn serving() -> Program {
    Program::serve().argument("--store", "memory:")
}

/// A request with headers, each with its end of line.
#[track_caller]
fn send(server: &Server, request: &str, headers: &str) -> Answer {
    let mut client = server.connect();
    client.send(request.replacen("\r\n", &format!("\r\n{headers}"), 1).as_bytes()).unwrap();
    client.answer().unwrap()
}

/// A command of a caller that is traced.
#[track_caller]
fn traced(server: &Server, path: &str, body: &str) -> Answer {
    let headers = format!("traceparent: {}\r\ntracestate: rojo=1\r\n", caller(true));
    send(server, &post(path, body), &headers)
}

/// The context of the order's last event.
fn trace_of_last_event(server: &Server) -> String {
    let events = server.get("/orders/o/events").json();
    events.as_array().unwrap().last().unwrap()["traceparent"].as_str().unwrap_or_default().to_owned()
}

fn spans_of_a_command(program: Program, collector: &Collector) {
    let server = program.start();
    assert_eq!(traced(&server, "/orders", ORDER).status, 201);
    let span = collector.span("POST /orders");
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE_ID.into(), CALLERS_SPAN.into()));
    assert_eq!((span.kind, span.trace_state.as_str()), (2, "rojo=1"), "a server's");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/orders"),
        ("http.response.status_code", "201"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("order.id", "o"),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
    let append = collector.span("append");
    let commit = collector.span("commit");
    assert_eq!(attribute(&commit, "order.batch.appends").as_deref(), Some("1"));
    assert!(append.start_time_unix_nano <= commit.start_time_unix_nano, "it waits for its turn before");
    for part in ["decide", "append", "commit"] {
        let child = collector.span(part);
        assert_eq!((hex(&child.trace_id), child.parent_span_id), (TRACE_ID.into(), span.span_id.clone()));
        assert!(span.start_time_unix_nano <= child.start_time_unix_nano);
    }
    let own = format!("00-{TRACE_ID}-{}-01", hex(&span.span_id));
    assert_eq!(trace_of_last_event(&server), own, "the event belongs under the span of its command");
    server.stop();
    let resource = collector.received()[0].spans.resource_spans[0].resource.clone().unwrap();
    let says = |key: &str, value: &str| {
        let found = resource.attributes.iter().find(|attribute| attribute.key == key);
        assert!(format!("{:?}", found.unwrap().value).contains(value), "{key}: {resource:?}");
    };
    says("service.name", "shop");
    says("service.version", env!("CARGO_PKG_VERSION"));
    says("team", "ü");
    assert_eq!(collector.received()[0].headers["api-key"], "SECRET");
}

/// What a collector is told of the service, and the secret that it wants to see.
fn with_resource(program: Program) -> Program {
    program
        .variable("OTEL_SERVICE_NAME", "shop")
        .variable("OTEL_RESOURCE_ATTRIBUTES", "team=%C3%BC")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET")
}

#[test]
fn a_traced_command_is_recorded_under_its_callers_span_over_http() {
    let (collector, directory) = (Collector::start(Collecting::Well), tempfile::tempdir().unwrap());
    let program = tracing_to(&collector, Program::serving(directory.path()));
    spans_of_a_command(with_resource(program), &collector);
}

#[test]
fn a_traced_command_is_recorded_under_its_callers_span_over_grpc() {
    let (collector, directory) = (Collector::start(Collecting::Well), tempfile::tempdir().unwrap());
    let program = tracing_to(&collector, Program::serving(directory.path()));
    let program = program.variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    spans_of_a_command(with_resource(program), &collector);
}

#[cfg(feature = "full-tests")]
#[test]
fn a_traced_command_is_recorded_on_postgresql() {
    let collector = Collector::start(Collecting::Well);
    let database = test_servers::PostgresServer::shared().unwrap().create_database().unwrap();
    let program = tracing_to(&collector, Program::serve().argument("--store", database));
    // What the shared server is set to.
    let program = program.variable("ORDER_SERVICE_ALLOW_UNSAFE_DURABILITY", "true");
    spans_of_a_command(with_resource(program), &collector);
}

#[test]
fn what_is_not_sampled_is_not_recorded_and_its_trace_is_kept_all_the_same() {
    let collector = Collector::start(Collecting::Well);
    let server = tracing_to(&collector, serving()).start();
    let unsampled = format!("traceparent: {}\r\n", caller(false));
    assert_eq!(send(&server, &post("/orders", ORDER), &unsampled).status, 201);
    assert_eq!(trace_of_last_event(&server), caller(false), "as it came");
    assert_eq!(server.post("/orders/o/payment", r#"{"payment_id":"p"}"#).status, 202);
    assert_eq!(trace_of_last_event(&server), "");
    // Sent after all others.
    assert_eq!(traced(&server, "/orders/o/hold", "{}").status, 202);
    collector.span("POST /orders/{id}/hold");
    server.stop();
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert!(
        names.iter().all(|name| ["decide", "append", "commit", "POST /orders/{id}/hold"].contains(&&**name)),
        "{names:?}"
    );
}

#[test]
fn a_sampler_may_record_what_nobody_traces() {
    let collector = Collector::start(Collecting::Well);
    let server = tracing_to(&collector, serving()).variable("OTEL_TRACES_SAMPLER", "always_on").start();
    assert_eq!(server.post("/orders", ORDER).status, 201);
    let span = collector.span("POST /orders");
    assert!(span.parent_span_id.is_empty());
    assert_eq!(trace_of_last_event(&server), format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
    let failed = collector.span("GET /orders/{id}/events");
    assert_eq!(attribute(&failed, "http.response.status_code").as_deref(), Some("200"));
    server.get("/nowhere");
    assert_eq!(attribute(&collector.span("GET"), "http.response.status_code").as_deref(), Some("404"));
    server.stop();
}

#[test]
fn what_is_left_is_sent_when_the_server_stops() {
    let collector = Collector::start(Collecting::Well);
    let mut server = tracing_to(&collector, serving()).start();
    assert_eq!(traced(&server, "/orders", ORDER).status, 201);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(collector.spans().iter().any(|span| span.name == "POST /orders"));
}

#[test]
fn without_an_endpoint_a_callers_trace_is_kept_and_nothing_is_sent() {
    let server = serving().variable("OTEL_TRACES_SAMPLER", "nonsense").start();
    assert_eq!(traced(&server, "/orders", ORDER).status, 201);
    assert_eq!(trace_of_last_event(&server), caller(true), "as it came");
    let metrics = server.get("/metrics");
    assert!(!metrics.text().contains("order_trace_spans"));
    server.stop();
}

/// What a client may give, in every field that takes text.
const CANARY: &str = "canary-7f3a";

#[test]
fn nothing_of_customers_and_no_secret_is_in_a_trace() {
    let collector = Collector::start(Collecting::Well);
    let directory = tempfile::tempdir().unwrap();
    let program = tracing_to(&collector, Program::serving(directory.path()));
    let server = program.variable("OTEL_TRACES_SAMPLER", "always_on").start();
    let placement = format!(
        r#"{{"order_id":"o","customer_id":"{CANARY}","items":[{{"SKU":"{CANARY}","Quantity":1,"UnitPriceCents":1}}],
            "adjustments":[{{"kind":"tax","label":"{CANARY}","amount_cents":1}}],"metadata":{{"{CANARY}":"{CANARY}"}}}}"#
    );
    let headers = format!(
        "authorization: Bearer ok_1_{CANARY}\r\nidempotency-key: \"{CANARY}\"\r\nx-correlation-id: {CANARY}\r\n\
         user-agent: {CANARY}\r\ncookie: {CANARY}\r\nx-forwarded-for: {CANARY}\r\nreferer: http://{CANARY}/\r\n"
    );
    let requests = [
        ("/orders", placement.clone(), 201),
        ("/orders", placement.clone(), 201),
        ("/orders/o/payment", format!(r#"{{"payment_id":"{CANARY}"}}"#), 202),
        ("/orders/o/reserve", format!(r#"{{"reservation_id":"{CANARY}"}}"#), 202),
        ("/orders/o/ship", format!(r#"{{"tracking_number":"{CANARY}","carrier":"{CANARY}"}}"#), 202),
        ("/orders/o/hold", format!(r#"{{"note":"{CANARY}","hold_id":"{CANARY}","reason":"{CANARY}"}}"#), 422),
        (&format!("/orders/o/returns/{CANARY}/receive"), "{}".to_owned(), 404),
        (&format!("/{CANARY}"), placement.clone(), 404),
        (&format!("/orders?customer_id={CANARY}"), placement.clone(), 422),
    ];
    for (index, (path, body, status)) in requests.into_iter().enumerate() {
        // Each is a request of its own.
        let headers = headers.replace(&format!("\"{CANARY}\""), &format!("\"{CANARY}-{index}\""));
        let answer =
            send(&server, &post(path, &body).replace("host: e2e", &format!("host: {CANARY}")), &headers);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
    }
    for path in [&format!("/orders?customer_id={CANARY}"), &format!("/orders/o/events?type={CANARY}")] {
        server.get(path);
    }
    let last = "GET /orders/{id}/events";
    collector.span(last);
    server.stop();
    let received = collector.received();
    // Every request's, and what commands did.
    assert!(collector.spans().len() > 15, "{:#?}", collector.spans());
    for request in received {
        let text = String::from_utf8_lossy(&request.bytes);
        assert!(!text.contains(CANARY), "{:#?}", request.spans);
        assert!(request.headers.iter().all(|(_, value)| !value.to_str().unwrap().contains(CANARY)));
    }
}
