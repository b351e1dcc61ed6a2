//! Bodies that are too large, too deep, or no text.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{assert_problem, attack, server};

const HEAD: &str = "POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\n";

#[test]
fn a_huge_body_is_refused_while_its_client_still_sends() {
    attack(server(), |server| {
        let piece = [b' '; 64 * 1024];
        for chunked in [false, true] {
            let mut client = server.connect();
            let mut sender = client.writing_end();
            let framing = if chunked { "transfer-encoding: chunked" } else { "content-length: 16777216" };
            let sending = std::thread::spawn(move || -> std::io::Result<()> {
                sender.write_all(format!("{HEAD}{framing}\r\n\r\n").as_bytes())?;
                for _ in 0..256 {
                    if chunked {
                        sender.write_all(b"10000\r\n")?;
                    }
                    sender.write_all(&piece)?;
                    if chunked {
                        sender.write_all(b"\r\n")?;
                    }
                }
                if chunked { sender.write_all(b"0\r\n\r\n") } else { Ok(()) }
            });
            assert_problem(&client.answer().unwrap(), 413, "body-too-large");
            // It never looks up before it has sent everything, and is not reset for it.
            sending.join().unwrap().unwrap();
            assert_eq!(client.get("/health").unwrap().status, 200, "the connection goes on");
        }
    });
}

#[test]
fn a_length_beyond_all_bounds_is_too_large_before_it_comes() {
    attack(server(), |server| {
        let begun = Instant::now();
        for length in [u64::MAX, u64::MAX - 1, u64::MAX - 2, u64::MAX - 3, 1 << 63, 1 << 32] {
            let mut client = server.connect();
            client.send(format!("{HEAD}content-length: {length}\r\n\r\n{{}}").as_bytes()).unwrap();
            assert_problem(&client.answer().unwrap(), 413, "body-too-large");
        }
        // For as long as that the rest of each is waited for.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_body_comes_in_chunks_or_not_and_in_nothing_else() {
    attack(server(), |server| {
        for encodings in [
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip, chunked",
        ] {
            let mut client = server.connect();
            client.send(format!("{HEAD}{encodings}\r\n\r\n0\r\n\r\n").as_bytes()).unwrap();
            let answer = client.answer().unwrap();
            assert_problem(&answer, 400, "malformed-request");
            assert!(answer.closes() && answer.text().contains("Transfer-Encoding"), "{answer:?}");
        }
        let mut client = server.connect();
        client
            .send(format!("{HEAD}transfer-encoding:  Chunked \r\n\r\n2\r\n{{}}\r\n0\r\n\r\n").as_bytes())
            .unwrap();
        assert_problem(&client.answer().unwrap(), 422, "validation-failed");
    });
}

#[test]
fn a_client_that_asks_before_it_sends_is_spared_to_send() {
    attack(server(), |server| {
        let mut client = server.connect();
        let request = format!("{HEAD}content-length: 16777216\r\nexpect: 100-continue\r\n\r\n");
        client.send(request.as_bytes()).unwrap();
        assert_problem(&client.answer().unwrap(), 413, "body-too-large");
    });
}

#[test]
fn bodies_that_are_no_json_are_refused() {
    attack(server(), |server| {
        let mut client = server.connect();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep_objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        let bodies: [&[u8]; 10] = [
            deep.as_bytes(),
            deep_objects.as_bytes(),
            b"{\"customer_id\":\"\xff\xfe\"}",
            b"{\"customer_id\":\"\xed\xa0\x80\"}",
            b"{\"customer_id\":\"\\ud800\"}",
            b"{\"customer_id\":\"a\0b\"}",
            b"\0",
            b"",
            b"{\"a\":1e400}",
            b"{\"a\":1,\"a\":1}",
        ];
        for body in bodies {
            client.send(format!("{HEAD}content-length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
            client.send(body).unwrap();
            let answer = client.answer().unwrap();
            assert_problem(&answer, 400, "malformed-request");
        }
        // JSON, but no text that an order may have.
        let answer = client.post("/orders", r#"{"customer_id":"a\u0000b","items":[]}"#).unwrap();
        assert_problem(&answer, 422, "validation-failed");
    });
}
