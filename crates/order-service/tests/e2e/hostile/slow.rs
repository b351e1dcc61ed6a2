//! Clients that take their time, to have others wait.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{assert_problem, attack, server};
use crate::server::Program;

/// What the server is told to wait at most.
const LIMIT_SECONDS: &str = "1";
/// Between two bytes of a slow client.
const PAUSE: Duration = Duration::from_millis(100);
/// A client that is still there after this has not been cut off.
const PATIENCE: Duration = Duration::from_secs(15);

fn impatient_server() -> Program {
    server()
        .argument("--idle-timeout-seconds", LIMIT_SECONDS)
        .argument("--body-timeout-seconds", LIMIT_SECONDS)
}

/// Sends a byte now and then until the server says something or hangs up; answers with what it said.
#[track_caller]
fn trickle(mut stream: TcpStream, bytes: &mut dyn Iterator<Item = u8>) -> Vec<u8> {
    let started = Instant::now();
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    let mut said = Vec::new();
    loop {
        assert!(started.elapsed() < PATIENCE, "it was not cut off");
        if let Some(byte) = bytes.next()
            && stream.write_all(&[byte]).is_err()
        {
            return said;
        }
        match stream.read_to_end(&mut said) {
            Ok(_) => return said,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return said,
        }
    }
}

/// What a slow client sends, byte by byte.
#[track_caller]
fn assert_cut_off(first: &'static [u8], then: Option<u8>) {
    attack(impatient_server(), |server| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                let mut client = server.connect();
                client.send(first).unwrap();
                let stream = client.writing_end();
                std::thread::spawn(move || trickle(stream, &mut then.into_iter().cycle()))
            })
            .collect();
        for client in clients {
            let said = client.join().unwrap();
            let refused = said.is_empty() || said.starts_with(b"HTTP/1.1 408 ");
            assert!(refused || first.starts_with(b"PRI"), "{}", said.escape_ascii());
        }
    });
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    assert_cut_off(b"GET /health HTTP/1.1\r\nhost: e2e\r\nx: ", Some(b'x'));
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    assert_cut_off(b"", None);
}

#[test]
fn a_client_that_hardly_begins_is_cut_off() {
    assert_cut_off(b"P", None);
}

#[test]
fn a_client_that_hardly_begins_is_not_waited_for_as_one_that_is_idle() {
    attack(server(), |server| {
        let mut client = server.connect();
        client.send(b"PRI").unwrap();
        let begun = Instant::now();
        assert_eq!(client.rest().unwrap(), b"");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_client_that_hardly_greets_in_http2_is_cut_off() {
    assert_cut_off(b"PRI * HTTP/2.0\r\n\r\nS", None);
}

#[test]
fn a_client_that_only_greets_in_http2_is_cut_off() {
    assert_cut_off(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None);
}

#[test]
fn a_body_that_comes_byte_by_byte_gets_a_408() {
    attack(impatient_server(), |server| {
        let head = "POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\n";
        for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
            let mut client = server.connect();
            client.send(format!("{head}{framing}\r\n\r\n").as_bytes()).unwrap();
            let body = if framing.contains("chunked") { b"1\r\n \r\n".as_slice() } else { b" ".as_slice() };
            let sending = client.writing_end();
            let sender = std::thread::spawn(move || trickle_until_refused(sending, body));
            let answer = client.answer().unwrap();
            assert_problem(&answer, 408, "request-timeout");
            let _ = client.writing_end().shutdown(std::net::Shutdown::Both);
            sender.join().unwrap();
        }
    });
}

/// One byte at a time, until the connection is over.
fn trickle_until_refused(mut stream: TcpStream, body: &[u8]) {
    let started = Instant::now();
    for byte in body.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() || started.elapsed() > PATIENCE {
            return;
        }
        std::thread::park_timeout(PAUSE);
    }
}
