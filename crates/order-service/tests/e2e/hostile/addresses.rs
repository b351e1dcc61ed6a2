//! One machine that comes again and again, with more connections than there are places, or room for: what others have quietly, they
//! keep.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::crowd::{crowd, crowd_in_pace};
use super::shares::connect_from;
use super::siege::besiege;
use super::{frames, server};
use crate::http::{Client, post};
use crate::server::Server;

/// Where those come from who have been there for longest.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// There are no such events.
const QUIET_FEED: &str = "/events?type=no.such.v1";
/// Probes and orders until whoever is there has been still for longer than whoever comes.
const A_WHILE: usize = 40;

fn connect(server: &Server) -> Client {
    let stream = connect_from(ELSEWHERE, server.port());
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    Client::over(stream)
}

/// A client that has had an answer, one whose feed has nothing to say, and one that pauses in a body.
struct Quiet {
    idle: Client,
    feed: Client,
    sending: Client,
    rest: Vec<u8>,
}

impl Quiet {
    fn begin(server: &Server) -> Self {
        let [mut idle, mut feed, mut sending] = [(); 3].map(|()| connect(server));
        assert_eq!(idle.get("/health").unwrap().status, 200);
        let follow = format!("GET {QUIET_FEED} HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n\r\n");
        feed.send(follow.as_bytes()).unwrap();
        assert_eq!(feed.head().unwrap().0, 200);
        let body = r#"{"order_id":"paused","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
        let request = post("/orders", body).into_bytes();
        let (begin, rest) = request.split_at(request.len() - 40);
        sending.send(begin).unwrap();
        Self { idle, feed, sending, rest: rest.to_vec() }
    }

    /// Nobody was hung up on.
    fn go_on(mut self) {
        assert_eq!(self.idle.get("/health").expect("it was left alone").status, 200);
        self.sending.send(&self.rest).expect("it was left alone");
        assert_eq!(self.sending.answer().expect("it was left alone").status, 201);
        // What it began with, and nothing since.
        assert!(self.feed.chunk().expect("it was left alone").is_some());
        assert!(is_open(&self.feed.writing_end()), "it was left alone");
    }
}

/// Whether the server has not hung up.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    match peeked {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

#[test]
fn one_machine_that_wants_all_places_again_and_again_takes_nobody_elses() {
    let program = server().argument("--max-connections", "300").argument("--body-timeout-seconds", "60");
    besiege(program, |server, siege| {
        let quiet = Quiet::begin(server);
        siege.hold(A_WHILE);
        drop(crowd_in_pace(siege, server.port(), 1_500, b"G"));
        quiet.go_on();
    });
}

#[test]
fn many_machines_that_each_have_some_places_and_come_again_and_again_take_none_of_who_has_few() {
    // Each machine has but nine at a time.
    const MACHINES: u8 = 70;
    const PLACES: usize = 640;
    let program =
        server().argument("--max-connections", PLACES.to_string()).argument("--body-timeout-seconds", "60");
    besiege(program, |server, siege| {
        let quiet = Quiet::begin(server);
        siege.hold(A_WHILE);
        drop(crowd(server.port(), 1, b""));
        let come = |_| {
            siege.hold(1);
            let port = server.port();
            (1..=MACHINES).map(move |machine| {
                let mut stream = connect_from(Ipv4Addr::new(127, 0, 1, machine), port);
                let _ = stream.write_all(b"G");
                stream
            })
        };
        let machines: Vec<_> = (0..4 * PLACES / usize::from(MACHINES)).flat_map(come).collect();
        drop(machines);
        quiet.go_on();
    });
}

#[test]
fn one_machine_that_wants_all_room_again_and_again_takes_nobody_elses() {
    // Of which each connection over HTTP/2 takes a thousandth.
    let program = server().argument("--max-answer-bytes", (16 * 1024 * 1024).to_string());
    besiege(program, |server, siege| {
        let mut quiet = connect_from(ELSEWHERE, server.port());
        quiet.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let greeting = [frames::PREFACE, &frames::settings()].concat();
        quiet.write_all(&[&greeting[..], &frames::follow(0, QUIET_FEED)].concat()).unwrap();
        assert_eq!(frames::take_heads(&mut quiet, 1), 1);
        siege.hold(A_WHILE);
        drop(crowd_in_pace(siege, server.port(), 2_500, &greeting));
        quiet.write_all(&frames::get(1, "/health")).expect("it was left alone");
        assert_eq!(frames::take_heads(&mut quiet, 1), 1, "it was left alone");
    });
}

#[test]
fn one_machine_that_wants_room_keeps_nobody_else_from_it() {
    // All room is taken, and no machine has much of it.
    const MACHINES: u8 = 70;
    const OF_EACH: usize = 15;
    let program = server().argument("--max-answer-bytes", (16 * 1024 * 1024).to_string());
    besiege(program, |server, siege| {
        let port = server.port();
        let greeting = [frames::PREFACE, &frames::settings()].concat();
        let ask = [&greeting[..], &frames::get(0, "/health")].concat();
        // So many sockets may be opened.
        drop(crowd(port, 1, b""));
        let come = |machine| {
            siege.hold(1);
            (0..OF_EACH).map(move |_| connect_from(Ipv4Addr::new(127, 0, 1, machine), port))
        };
        let mut others: Vec<_> = (1..=MACHINES).flat_map(come).collect();
        for other in &mut others {
            other.write_all(&greeting).unwrap();
        }
        siege.hold(A_WHILE);
        let machine = crowd_in_pace(siege, port, 500, &ask);
        for _ in 0..3 {
            let mut one = connect_from(ELSEWHERE, port);
            one.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            one.write_all(&ask).unwrap();
            assert_eq!(frames::take_heads(&mut one, 1), 1, "it is served");
        }
        drop((others, machine));
    });
}
