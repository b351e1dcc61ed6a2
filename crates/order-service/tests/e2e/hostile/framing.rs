//! Requests whose end can be read in two ways, and heads that are none.

use super::{assert_problem, attack, server};
use crate::server::Program;

const SMUGGLED: &str =
    r#"{"order_id":"smuggled","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;

fn smuggled_request() -> String {
    crate::http::post("/orders", SMUGGLED)
}

/// A front server that reads the request one way and this one the other would take the rest for a request.
#[test]
fn what_hides_in_a_body_is_never_a_request() {
    hide_requests(server());
}

pub(super) fn hide_requests(program: Program) {
    attack(program, |server| {
        let hidden = smuggled_request();
        let chunked_end = format!("0\r\n\r\n{hidden}");
        let length = chunked_end.len();
        let shapes = [
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunked_end}"),
            format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{chunked_end}"),
            format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len()),
            format!("content-length: {}\r\ncontent-length: 0\r\n\r\n{hidden}", hidden.len()),
            format!("content-length: 0, {}\r\n\r\n{hidden}", hidden.len()),
            format!("content-length: +{}\r\n\r\n{hidden}", hidden.len()),
            format!("content-length: -1\r\n\r\n{hidden}"),
            format!("content-length: 0x10\r\n\r\n{hidden}"),
            format!("content-length: 99999999999999999999999\r\n\r\n{hidden}"),
            format!("content-length: {}\r\n\r\n{hidden}", u64::MAX),
            format!("content-length : 0\r\n\r\n{hidden}"),
            format!("transfer-encoding: identity\r\ncontent-length: 0\r\n\r\n{hidden}"),
            format!("transfer-encoding: chunked, identity\r\n\r\n{chunked_end}"),
            format!("transfer-encoding: chunked, chunked\r\n\r\n{chunked_end}"),
            format!("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n{chunked_end}"),
            format!("transfer-encoding: gzip, chunked\r\n\r\n{chunked_end}"),
            format!("transfer-encoding: xchunked\r\n\r\n{chunked_end}"),
            format!("transfer-encoding\r\n: chunked\r\n\r\n{chunked_end}"),
            format!("transfer-encoding: chunked\r\n\r\n-0\r\n\r\n{hidden}"),
            format!("transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n{hidden}"),
        ];
        for shape in shapes {
            let mut client = server.connect();
            let request =
                format!("POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\n{shape}");
            client.send(request.as_bytes()).unwrap();
            let answer = client.answer().unwrap();
            assert!((400..500).contains(&answer.status), "{request}\n{answer:?}");
            // The connection is not used again: it ends, in order or with a reset.
            match client.rest() {
                Ok(rest) => assert_eq!(rest, b"", "{request}"),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{request}"),
            }
            assert_eq!(server.get("/orders/smuggled").status, 404, "{request}");
        }
    });
}

#[test]
fn heads_that_are_none_are_refused() {
    attack(server(), |server| {
        for head in [
            "GET / HTTP/1.1\r\nhost: e2e\r\nna me: value\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: e2e\r\n: value\r\n\r\n",
            "GET / HTTP/1.1\r\nname: a\0b\r\n\r\n",
            "GET /\0 HTTP/1.1\r\nhost: e2e\r\n\r\n",
            "GET / HTTP/9.9\r\nhost: e2e\r\n\r\n",
            "GET\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3} TLS on a plain port\r\n\r\n",
        ] {
            let mut client = server.connect();
            client.send(head.as_bytes()).unwrap();
            let answer = client.answer().unwrap_or_else(|error| panic!("{head:?}: {error}"));
            assert_problem(&answer, 400, "malformed-request");
            assert_eq!(client.rest().unwrap(), b"", "{head:?}");
        }
        // It is told apart from a body that is none, and comes in its turn.
        let mut client = server.connect();
        client.send(b"GET /health HTTP/1.1\r\nhost: e2e\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        assert_eq!(client.answer().unwrap().text(), r#"{"status":"ok"}"#);
        assert_problem(&client.answer().unwrap(), 400, "malformed-request");
    });
}

#[test]
fn a_request_has_exactly_one_host() {
    attack(server(), |server| {
        let length = SMUGGLED.len();
        for hosts in ["", "host: e2e\r\nhost: e2e\r\n", "host: a\r\nx: y\r\nHost: b\r\n"] {
            let mut client = server.connect();
            let request = format!(
                "POST /orders HTTP/1.1\r\n{hosts}content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            client.send((request + SMUGGLED).as_bytes()).unwrap();
            let answer = client.answer().unwrap();
            assert_problem(&answer, 400, "malformed-request");
            assert!(answer.closes(), "{hosts:?}: {answer:?}");
            assert_eq!(server.get("/orders/smuggled").status, 404, "{hosts:?}");
        }
        let mut client = server.connect();
        client.send(b"GET /health HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(client.answer().unwrap().status, 200, "HTTP/1.0 has no Host");
    });
}

#[test]
fn oversized_heads_are_refused() {
    attack(server(), |server| {
        let long = "x".repeat(200 * 1024);
        for head in [
            format!("GET / HTTP/1.1\r\nhost: e2e\r\nx-long: {long}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nhost: e2e\r\n{}\r\n", "x-many: y\r\n".repeat(20_000)),
            format!("GET /{long} HTTP/1.1\r\nhost: e2e\r\n\r\n"),
        ] {
            let mut client = server.connect();
            // It may be refused before all of it is sent.
            let _ = client.send(head.as_bytes());
            assert_problem(&client.answer().unwrap(), 431, "headers-too-large");
        }
    });
}

#[test]
fn what_a_question_says_in_its_body_is_read_over_and_its_connection_goes_on() {
    let server = server().start();
    let mut client = server.connect();
    client.send(b"GET /health HTTP/1.1\r\nhost: e2e\r\ncontent-length: 5\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    client.send(b"?????GET /ready HTTP/1.1\r\nhost: e2e\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    server.stop();
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    attack(server(), |server| {
        let mut client = server.connect();
        let orders = 0..100;
        let placements = orders.clone().map(|number| {
            let body = format!(
                r#"{{"order_id":"o-{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
            );
            crate::http::post("/orders", &body)
        });
        client.send(placements.collect::<String>().as_bytes()).unwrap();
        for number in orders {
            let answer = client.answer().unwrap();
            assert_eq!((answer.status, answer.text()), (201, &*format!(r#"{{"order_id":"o-{number}"}}"#)));
        }
    });
}
