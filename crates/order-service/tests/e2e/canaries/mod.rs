//! Canaries: texts that are nobody's business stand in every field that customers fill, and in every secret. They are looked for in
//! all that comes out of the service for others: its output at its most talkative, `/metrics`, `/ready`, traces of every request, and
//! what it refuses.

mod commands;
mod secrets;

use crate::hostile::operators::{operators_port, with_operators};
use crate::http::{Answer, Client};
use crate::server::{Program, Server};
use crate::traces::collector::Collector;

/// What came out, and where.
struct Said {
    place: String,
    text: String,
}

impl Said {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }

    /// All of an answer, its head as well.
    fn answer(place: impl Into<String>, answer: &Answer) -> Self {
        Self::new(place, format!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body)))
    }
}

/// Each line that has one of the canaries in it, whatever the case of its letters.
fn leaks<C: AsRef<str>>(said: &[Said], canaries: &[C]) -> Vec<String> {
    let canaries: Vec<_> = canaries.iter().map(|canary| canary.as_ref().to_lowercase()).collect();
    assert!(canaries.iter().all(|canary| canary.len() > 6), "nothing else is like them");
    let has_one = |line: &str| {
        let line = line.to_lowercase();
        canaries.iter().any(|canary| line.contains(canary))
    };
    let in_one = |Said { place, text }: &Said| {
        let lines = text.lines().filter(|line| has_one(line));
        lines.map(|line| format!("{place}: {line}")).collect::<Vec<_>>()
    };
    said.iter().flat_map(in_one).collect()
}

/// A program that says all that it can.
fn talkative(program: Program) -> Program {
    with_operators(program).argument("--log", "trace").argument("--log-format", "json")
}

/// Sends a trace of every request there, over the protocol that has more to say about itself, with a secret for the collector alone.
fn tracing_to(collector: &Collector, program: Program) -> Program {
    program
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary-collector")
        .variable("OTEL_TRACES_SAMPLER", "always_on")
}

/// All spans that have come there, from a server that has ended.
fn recorded(collector: &Collector) -> Said {
    let received = collector.received();
    assert!(received.iter().all(|request| request.headers["api-key"] == "canary-collector"), "it arrives");
    assert!(!collector.spans().is_empty(), "requests are recorded");
    let bytes = received.iter().flat_map(|request| &request.bytes).copied().collect::<Vec<_>>();
    Said::new("traces", String::from_utf8_lossy(&bytes))
}

/// What the operators' address says to everybody, and to whoever has a key.
fn told_to_operators(server: &Server, key: Option<&str>) -> Vec<Said> {
    let credentials = key.map(|key| format!("authorization: Bearer {key}\r\n"));
    let fields = ["", credentials.as_deref().unwrap_or_default()];
    let ask = |path: &str, fields: &str| {
        let mut client = Client::connect(operators_port(server)).unwrap();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: e2e\r\n{fields}\r\n").as_bytes()).unwrap();
        Said::answer(path, &client.answer().unwrap())
    };
    ["/ready", "/metrics"].iter().flat_map(|path| fields.map(|fields| ask(path, fields))).collect()
}

#[test]
fn a_canary_is_found_in_any_line_of_any_place() {
    let said = [Said::new("/ready", "{}"), Said::new("the output", "one\ntwo CANARY-1 three\nfour")];
    assert_eq!(leaks(&said, &["canary-1"]), ["the output: two CANARY-1 three"]);
    assert_eq!(leaks(&said, &["canary-2"]), [""; 0]);
}
