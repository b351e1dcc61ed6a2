//! Clients that ask and do not take what they are answered.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpSocket;

use super::crowd::crowd;
use super::siege::besiege;
use super::{attack, frames, server};
use crate::http::Client;
use crate::live_feed::Feed;
use crate::server::{Program, Server, wait_until};

/// How little the system takes for a client that reads nothing.
const RECEIVE_BUFFER_BYTES: u32 = 4096;
/// Probes and orders that are waited for while an attack stands.
const A_WHILE: usize = 40;

/// An answer of 160 KB, made for each request.
pub(super) const LONG_ANSWER: &str = "/orders/long/events";

pub(super) fn place_a_long_order(server: &Server) {
    place_long_order(server, "long");
}

/// So many of them.
pub(super) fn place_long_orders(server: &Server, count: usize) {
    (0..count).for_each(|number| place_long_order(server, &format!("long-{number}")));
}

fn place_long_order(server: &Server, order_id: &str) {
    let items: Vec<String> = (0..1000)
        .map(|line| format!(r#"{{"SKU":"{line:0>100}","Quantity":1,"UnitPriceCents":1}}"#))
        .collect();
    let order = format!(r#"{{"order_id":"{order_id}","customer_id":"c","items":[{}]}}"#, items.join(","));
    assert_eq!(server.post("/orders", &order).status, 201);
}

/// Connections that see their answer begin and take none of it, nor does the system take much for them: it is the server that
/// keeps it.
pub(super) fn crowd_without_buffers(port: u16, count: usize, request: &[u8]) -> Vec<TcpStream> {
    drop(crowd(port, 1, b""));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = runtime.block_on(socket.connect(address)).unwrap().into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let _ = stream.write_all(request);
        // All of them at once would only show how fast the server is.
        let _ = stream.peek(&mut [0]);
        stream
    };
    (0..count).map(|_| open()).collect()
}

#[test]
fn answers_that_nobody_takes_cost_no_more_than_there_is_room_for() {
    besiege(server(), |server, siege| {
        place_a_long_order(server);
        let request = "GET /openapi.json HTTP/1.1\r\nhost: e2e\r\n\r\n".repeat(2);
        let crowd = crowd_without_buffers(server.port(), 1000, request.as_bytes());
        siege.hold(A_WHILE);
        assert_long_answers_are_served(server);
        drop(crowd);
    });
}

#[test]
fn nor_do_those_that_http2_clients_have_no_window_for() {
    leave_answers_lying(server());
}

pub(super) fn leave_answers_lying(program: Program) {
    // What bounds pages is not to help.
    besiege(program.argument("--max-open-page-bytes", "1000000000000"), |server, siege| {
        place_a_long_order(server);
        let gets = (0..100).flat_map(|number| frames::get(number, LONG_ANSWER));
        let requests: Vec<u8> = frames::preface_of_one_that_takes_nothing().into_iter().chain(gets).collect();
        // One after the other: all at once would only show how fast the server is.
        let ask = |_| {
            siege.hold(1);
            crowd(server.port(), 1, &requests)
        };
        let crowd: Vec<_> = (0..60).flat_map(ask).collect();
        siege.hold(A_WHILE);
        assert_long_answers_are_served(server);
        drop(crowd);
    });
}

/// To others, who may be asked to come again.
fn assert_long_answers_are_served(server: &Server) {
    wait_until("there is room for a long answer", || {
        let answer = server.get(LONG_ANSWER);
        assert!(answer.status == 200 || answer.code() == "overloaded", "{answer:?}");
        (answer.status == 200).then_some(())
    });
}

#[test]
fn whoever_takes_nothing_for_the_idle_timeout_is_hung_up_on() {
    attack(server().argument("--idle-timeout-seconds", "1"), |server| {
        place_a_long_order(server);
        let request = format!("GET {LONG_ANSWER} HTTP/1.1\r\nhost: e2e\r\n\r\n").repeat(20);
        let mut crowd = crowd_without_buffers(server.port(), 4, request.as_bytes());
        // A reset is noticed without reading.
        wait_until("they are hung up on", || {
            crowd.retain(|stream| stream.take_error().unwrap().is_none());
            crowd.is_empty().then_some(())
        });
        // One that answers pings all the while is no better.
        let mut stream = super::crowd::open(server.port());
        stream.write_all(&frames::preface_of_one_that_takes_nothing()).unwrap();
        stream.write_all(&frames::get(0, LONG_ANSWER)).unwrap();
        let asked = Instant::now();
        frames::answer_pings(stream);
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    });
}

/// Although it has 25 s for what is in flight.
pub(super) fn assert_stops_soon(mut server: Server) {
    server.get("/health");
    server.signal(Signal::TERM);
    let asked = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn a_server_that_stops_does_not_wait_for_them() {
    let server = server().argument("--grace-seconds", "25").start();
    place_a_long_order(&server);
    let request = format!("GET {LONG_ANSWER} HTTP/1.1\r\nhost: e2e\r\n\r\n").repeat(20);
    let crowd = crowd_without_buffers(server.port(), 4, request.as_bytes());
    assert_stops_soon(server);
    drop(crowd);
}

#[test]
fn nor_for_those_who_say_nothing_or_not_all() {
    let server = server().argument("--grace-seconds", "25").start();
    let order = r#"{"order_id":"o","#;
    let crowd = [
        [frames::PREFACE, &frames::settings()].concat(),
        [frames::PREFACE, &frames::settings(), &frames::begin_head(0)].concat(),
        b"GET /heal".to_vec(),
        format!("POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{order}").into(),
    ]
    .map(|said| crowd(server.port(), 1, &said));
    assert_stops_soon(server);
    drop(crowd);
}

#[test]
fn nor_for_those_who_say_a_byte_now_and_then() {
    let server = server().argument("--grace-seconds", "25").start();
    let head = "POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    let mut crowd = crowd(server.port(), 1, head.as_bytes());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && crowd[0].write_all(b" ").is_ok() {
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        assert_stops_soon(server);
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_answer_with_the_words_of_a_refused_head_in_it_comes_whole() {
    let server = server().start();
    let words: String = "HTTP/1.1 431 ".repeat(7);
    let items: Vec<String> = (0..1000)
        .map(|line| format!(r#"{{"SKU":"{words}{line}","Quantity":1,"UnitPriceCents":1}}"#))
        .collect();
    let order = format!(r#"{{"order_id":"long","customer_id":"c","items":[{}]}}"#, items.join(","));
    assert_eq!(server.post("/orders", &order).status, 201);
    let whole = server.get(LONG_ANSWER).body;
    // Wherever the system stops taking bytes, the rest begins with the words for some of them: an answer before, of another length
    // for each, moves them.
    for length in 0..26 {
        let before = format!("GET /{} HTTP/1.1\r\nhost: e2e\r\n\r\n", "x".repeat(length));
        let ask = |more: &str| format!("GET {LONG_ANSWER} HTTP/1.1\r\nhost: e2e\r\n{more}\r\n");
        let request = [before, ask("").repeat(19), ask("connection: close\r\n")].concat();
        let mut answers = Vec::new();
        for mut slow in crowd_without_buffers(server.port(), 1, request.as_bytes()) {
            slow.read_to_end(&mut answers).unwrap();
        }
        let mut rest = &answers[..];
        for number in 0..21 {
            let head = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let fields = String::from_utf8_lossy(&rest[..head]);
            let field = fields.lines().find_map(|line| line.strip_prefix("content-length: "));
            let body: usize = field.unwrap_or_else(|| panic!("answer {number}: {fields}")).parse().unwrap();
            assert!(number == 0 || rest.get(head..head + body) == Some(&whole[..]), "answer {number}");
            rest = &rest[head + body..];
        }
        assert_eq!(rest, b"");
    }
    server.stop();
}

#[test]
fn whoever_says_no_more_still_gets_its_answer() {
    let directory = tempfile::tempdir().unwrap();
    attack(Program::serving(directory.path()), |server| {
        place_a_long_order(server);
        for number in 0..20 {
            let order = format!(
                r#"{{"order_id":"half-{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
            );
            let mut client = Client::connect(server.port()).unwrap();
            client.send(crate::http::post("/orders", &order).as_bytes()).unwrap();
            client.writing_end().shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.answer().unwrap().status, 201);
            assert_eq!(client.rest().unwrap(), b"", "and then nothing");
            let mut client = Client::connect(server.port()).unwrap();
            client.send(format!("GET {LONG_ANSWER} HTTP/1.1\r\nhost: e2e\r\n\r\n").as_bytes()).unwrap();
            client.writing_end().shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.answer().unwrap().json().as_array().unwrap().len(), 1);
        }
    });
}

#[test]
fn whoever_says_no_more_with_the_last_of_its_body_still_gets_its_answer() {
    let server = server().start();
    for (number, is_in_chunks) in (0..200).map(|number| (number, number % 2 == 0)) {
        let order = format!(
            r#"{{"order_id":"late-{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
        );
        let request = crate::http::post("/orders", &order);
        let head =
            request[..request.len() - order.len()].replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        let (head, body) = match is_in_chunks {
            true => (
                head.replace(&format!("content-length: {}", order.len()), "transfer-encoding: chunked"),
                format!("{:x}\r\n{order}\r\n0\r\n\r\n", order.len()),
            ),
            false => (head, order.clone()),
        };
        let mut client = server.connect();
        client.send(head.as_bytes()).unwrap();
        assert_eq!(client.head().unwrap().0, 100, "its body is waited for");
        client.send(body.as_bytes()).unwrap();
        client.writing_end().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.answer().unwrap().status, 201, "{number}");
    }
    server.stop();
}

#[test]
fn a_quiet_feed_whose_client_says_no_more_is_let_go() {
    let server = server().start();
    let mut client = server.connect();
    client.send(b"GET /events HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().0, 200);
    client.writing_end().shutdown(Shutdown::Write).unwrap();
    let asked = Instant::now();
    client.rest().expect("closed, not reset");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    server.stop();
}

#[test]
fn feeds_whose_clients_have_left_make_way_for_others_at_once() {
    let server = server().argument("--max-feeds", "3").start();
    let open = || Feed::open(server.port(), None);
    let begun = Instant::now();
    for _ in 0..5 {
        let feeds: Vec<_> = (0..3).map(|_| wait_until("there is a place", || open().ok())).collect();
        assert_eq!(open().err().unwrap().to_string(), "a feed is answered 503");
        drop(feeds);
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    server.stop();
}

#[test]
fn whoever_asked_for_the_head_of_a_feed_may_say_no_more_and_listen() {
    let server = server().start();
    let mut client = server.connect();
    client.send(b"HEAD /events HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().0, 200);
    client.send(b"GET /orders HTTP/1.1\r\nhost: e2e\r\n\r\n").unwrap();
    client.writing_end().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    server.stop();
}
