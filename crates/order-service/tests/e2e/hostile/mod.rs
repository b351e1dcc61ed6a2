//! Hostile HTTP through real sockets: a 4xx or a closed connection, never a 5xx, a panic or a stall.

mod bodies;
mod framing;
mod http2;
mod slow;
mod targets;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::http::Answer;
use crate::server::{Program, Server};

/// A probe is never kept waiting longer, on whatever machine the tests run.
const PROMPT: Duration = Duration::from_secs(2);

/// Lets a hostile client loose on a server, which must answer a probe promptly all the while and not panic.
#[track_caller]
fn attack(program: Program, hostile: impl FnOnce(&Server)) {
    let server = program.start();
    let over = AtomicBool::new(false);
    let port = server.port();
    std::thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = crate::http::Client::connect(port).and_then(|mut client| client.get("/health"));
                assert_eq!(answer.unwrap().status, 200);
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        });
        let stop = OverOnDrop(&over);
        hostile(&server);
        drop(stop);
        let slowest = probe.join().unwrap();
        assert!(slowest < PROMPT, "a probe waited {slowest:?}");
    });
    assert_eq!(server.get("/orders").status, 200);
    let log = server.log();
    assert!(!log.contains("\"ERROR\""), "{log}");
    server.stop();
}

struct OverOnDrop<'a>(&'a AtomicBool);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// On the memory store, since nothing here is about the disk.
fn server() -> Program {
    Program::serve().argument("--store", "memory:")
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}
