//! SIGTERM and Ctrl+C drain: what has begun is finished, nobody is cut off, and the exit status is 0.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::checker::{check, verify};
use crate::http::post;
use crate::load::{Finish, under_load};
use crate::server::{Program, wait_until};

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
