//! SIGTERM and Ctrl+C drain: what has begun is finished, nobody is cut off, and the exit status is 0.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::checker::{check, verify};
use crate::http::post;
use crate::load::{Finish, under_load};
use crate::server::{Program, Server, wait_until};

const PLACEMENT: &str =
    r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;

#[track_caller]
fn assert_drains_under_load(signal: Signal) {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Program::serving(directory.path()).argument("--grace-seconds", "20").start();
    let mut probes = [server.connect(), server.connect()];
    for probe in &mut probes {
        assert_eq!(probe.get("/ready").unwrap().status, 200);
    }

    let (claims, finishes) = under_load(server.port(), "drain", |progress| {
        wait_until("there is a load", || (progress.acknowledged() > 200).then_some(()));
        server.signal(signal);
        let asked = Instant::now();
        // On connections that were there before: new ones are no longer taken. The signal may come between a question and
        // its answer, which is then the first connection's last.
        let [first, second] = &mut probes;
        let last = wait_until("the connection is to be closed", || {
            let answer = first.get("/ready").unwrap();
            answer.closes().then_some(answer)
        });
        let ready = if last.status == 200 { second.get("/ready").unwrap() } else { last };
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json()["status"], "not_ready");
        assert!(ready.closes(), "{ready:?}");
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    });
    // Every client was told, with an answer to its last request, unless it just had none.
    assert!(!finishes.iter().any(|finish| matches!(finish, Finish::Broken(_))), "{finishes:?}");
    assert!(finishes.iter().any(|finish| matches!(finish, Finish::Told)), "{finishes:?}");
    assert!(claims.iter().all(|claim| claim.acknowledged == claim.attempted));
    server.assert_no_panic();

    let server = Program::serving(directory.path()).start();
    check(&server, 0, &claims).unwrap();
    server.stop();
    verify(directory.path()).unwrap();
}

#[test]
fn sigterm_drains_under_load() {
    assert_drains_under_load(Signal::TERM);
}

#[test]
fn ctrl_c_drains_under_load() {
    assert_drains_under_load(Signal::INT);
}

#[test]
fn a_request_that_has_begun_is_answered_and_an_idle_connection_is_closed_in_order() {
    let mut server = Program::serve().argument("--store", "memory:").start();
    let request = post("/orders", PLACEMENT);
    let (first_half, second_half) = request.as_bytes().split_at(request.len() - 20);
    let mut begun = server.connect();
    begun.send(first_half).unwrap();
    let mut feed = server.connect();
    feed.send(b"GET /events HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n\r\n").unwrap();
    assert_eq!(feed.head().unwrap().0, 200);
    let mut idle = server.connect();
    assert_eq!(idle.get("/health").unwrap().status, 200);
    let mut silent = server.connect();

    server.signal(Signal::TERM);
    assert_eq!(idle.rest().expect("closed, not reset"), b"");
    assert_eq!(silent.rest().expect("closed, not reset"), b"");
    // A live feed has no end of its own: it is ended, whole.
    while feed.chunk().expect("not cut off").is_some() {}

    begun.send(second_half).unwrap();
    let answer = begun.answer().unwrap();
    assert_eq!((answer.status, answer.text()), (201, r#"{"order_id":"o"}"#));
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(begun.rest().unwrap(), b"");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn whoever_never_finishes_is_cut_off_when_the_grace_time_is_over() {
    let mut server = Program::serve().argument("--store", "memory:").argument("--grace-seconds", "1").start();
    let mut begun = server.connect();
    begun.send(&post("/orders", PLACEMENT).as_bytes()[..150]).unwrap();
    // An answer on a later connection: the earlier one's bytes have been read.
    assert_eq!(server.get("/health").status, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.log().contains("the grace time is over"), "{}", server.log());
}

/// What the service says when it is told to stop, in the order of its lines.
fn said_of_the_stop(server: &Server) -> Vec<serde_json::Value> {
    let lines = server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>();
    lines.into_iter().filter(|line: &serde_json::Value| line["signal"].is_string()).collect()
}

#[test]
fn the_first_signal_says_what_is_waited_for_and_the_second_stops_at_once() {
    for (signal, name, status) in [(Signal::TERM, "SIGTERM", 143), (Signal::INT, "Ctrl+C", 130)] {
        let mut server =
            Program::serve().argument("--store", "memory:").argument("--grace-seconds", "50").start();
        let mut begun = [server.connect(), server.connect()];
        for client in &mut begun {
            client.send(&post("/orders", PLACEMENT).as_bytes()[..150]).unwrap();
        }
        // It is ended by the stop, and nobody waits for it.
        let mut feed = server.connect();
        feed.send(b"GET /events HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n\r\n").unwrap();
        assert_eq!(feed.head().unwrap().0, 200);
        // Answers on later connections: the earlier ones' bytes have been read.
        assert_eq!(server.get("/health").status, 200);

        server.signal(signal);
        let told = wait_until("it says what it waits for", || said_of_the_stop(&server).pop());
        let told = [&told["signal"], &told["requests"], &told["grace_seconds"]].map(ToString::to_string);
        assert_eq!(told, [&format!("{name:?}"), "2", "50"]);

        // The same signal twice in a row counts once, so it is sent again until it is another one.
        let asked = Instant::now();
        let process = server.process();
        let ended = wait_until("it has ended", || {
            process.signal_if_there(signal);
            server.ended()
        });
        assert_eq!(ended.code(), Some(status), "{}", server.log());
        assert!(asked.elapsed() < Duration::from_secs(25), "{:?}", asked.elapsed());
        assert!(server.log().contains("stopped at once"), "{}", server.log());
    }
}

/// As `timeout` does, which sends it to the process and to its group.
#[test]
fn a_signal_that_comes_twice_in_a_row_is_one() {
    let mut server = Program::serve().argument("--store", "memory:").start();
    let mut begun = server.connect();
    let request = post("/orders", PLACEMENT);
    let (first_half, second_half) = request.as_bytes().split_at(request.len() - 20);
    begun.send(first_half).unwrap();
    assert_eq!(server.get("/health").status, 200);
    // For so long that it has seen the first one before the last.
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_millis(50) {
        server.signal(Signal::TERM);
    }
    begun.send(second_half).unwrap();
    assert_eq!(begun.answer().unwrap().status, 201);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

fn serve_with_drain_delay(seconds: u64) -> Server {
    let program = Program::serve().argument("--store", "memory:");
    program.argument("--drain-delay-seconds", seconds.to_string()).start()
}

#[test]
fn during_the_drain_delay_requests_are_served_on_new_connections_while_ready_says_no() {
    let mut server = serve_with_drain_delay(3_600);
    assert_eq!(server.get("/ready").status, 200);
    server.signal(Signal::TERM);
    let ready = wait_until("/ready says no", || {
        let ready = server.get("/ready");
        (ready.status == 503).then_some(ready)
    });
    assert_eq!(ready.json()["checks"]["lifecycle"], "draining");
    // Somebody who has not looked there yet, and who may keep the connection.
    let placed = server.post("/orders", PLACEMENT);
    assert_eq!((placed.status, placed.closes()), (201, false), "{placed:?}");

    // Whoever does not want to wait for it sends another signal.
    let process = server.process();
    let ended = wait_until("it has ended", || {
        process.signal_if_there(Signal::TERM);
        server.ended()
    });
    assert_eq!(ended.code(), Some(143), "{}", server.log());
}

#[test]
fn after_the_drain_delay_it_stops_as_without_one() {
    let mut server = serve_with_drain_delay(1);
    let asked = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    let told = said_of_the_stop(&server);
    assert_eq!(told[0]["drain_delay_seconds"], 1, "{told:?}");
    assert_eq!((&told[1]["requests"], told.len()), (&0.into(), 2), "{told:?}");
}
