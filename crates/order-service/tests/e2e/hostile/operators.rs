//! The operators' address: it answers, whatever clients do at the other one, and at this one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::crowd::{ALL_PLACES, crowd, crowd_in_pace};
use super::siege::{OverOnDrop, besiege};
use super::{assert_problem, server};
use crate::http::{Answer, Client};
use crate::server::{Program, Server};

/// Whoever asks waits no longer.
const PROMPT: Duration = Duration::from_secs(1);
/// Questions, each on a connection of its own.
const QUESTIONS: usize = 40;
/// As many as operators have places.
const ALL_OPERATORS: usize = 64;
/// More than operators have places.
const TOO_MANY_OPERATORS: usize = 100;

pub(crate) fn with_operators(program: Program) -> Program {
    program.argument("--operate-listen", "127.0.0.1:0")
}

/// The port of the operators' address, which only the log tells.
pub(crate) fn operators_port(server: &Server) -> u16 {
    let log = server.log();
    let line = log.lines().find(|line| line.contains("operators are answered")).expect("it is told");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["port"].as_u64().and_then(|port| port.try_into().ok()).unwrap()
}

#[track_caller]
fn ask(port: u16, path: &str) -> Answer {
    let asked = Instant::now();
    let answer = Client::connect(port).unwrap().get(path).unwrap();
    assert!(asked.elapsed() < PROMPT, "{path} took {:?}", asked.elapsed());
    answer
}

#[test]
fn operators_are_answered_about_health_readiness_and_metrics_and_nothing_else() {
    let server = with_operators(server()).start();
    let port = operators_port(&server);
    assert_eq!(ask(port, "/health").text(), server.get("/health").text());
    assert_eq!(ask(port, "/ready").json()["checks"]["store"], "ok");
    assert_eq!(ask(port, "/metrics").status, 200);
    for path in ["/", "/orders", "/events", "/openapi.json", "/docs", "/health/"] {
        assert_problem(&ask(port, path), 404, "not-found");
    }
    let refused = Client::connect(port).unwrap().post("/health", "{}").unwrap();
    assert_problem(&refused, 405, "method-not-allowed");
    server.stop();
}

#[test]
fn operators_who_ask_all_the_while_keep_nobody_else_from_asking() {
    besiege(with_operators(server()), |server, _| {
        let (port, over) = (operators_port(server), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| ask_all_the_while(port, &over));
            let _over = OverOnDrop(&over);
            for _ in 0..QUESTIONS {
                assert_eq!(ask(port, "/health").status, 200);
                assert_eq!(ask(port, "/ready").status, 200);
            }
        });
    });
}

/// On as many connections as there are places, of which each is opened again when somebody else is let in for it.
fn ask_all_the_while(port: u16, over: &AtomicBool) {
    let mut clients: Vec<Option<Client>> = (0..ALL_OPERATORS).map(|_| None).collect();
    while !over.load(Ordering::Relaxed) {
        for client in &mut clients {
            let answered = match client {
                Some(client) => client.get("/health").is_ok(),
                None => false,
            };
            if !answered {
                *client = Client::connect(port).ok();
            }
        }
    }
}

#[test]
fn operators_are_answered_whatever_happens_to_places() {
    besiege(with_operators(server()), |server, siege| {
        let port = operators_port(server);
        let clients = crowd_in_pace(siege, server.port(), ALL_PLACES + 500, b"");
        let idle_operators = crowd(port, TOO_MANY_OPERATORS, b"");
        for _ in 0..QUESTIONS {
            assert_eq!(ask(port, "/health").status, 200);
            assert_eq!(ask(port, "/ready").status, 200);
            assert_eq!(ask(port, "/metrics").status, 200);
        }
        drop((clients, idle_operators));
    });
}
