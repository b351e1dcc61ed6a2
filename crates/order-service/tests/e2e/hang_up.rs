//! A client that hangs up mid-request leaves a whole command or none, and caches that are right.

use std::net::Shutdown;

use crate::http::{Client, post};
use crate::server::{Program, Server};

/// How a client goes away.
#[derive(Debug, Clone, Copy)]
enum HangUp {
    /// Closes, as a program does that has ended.
    Closed,
    /// Has nothing more to say, and listens no more either.
    HalfClosed,
    /// Resets: its system closes a connection whose answers nobody read.
    Reset,
}

/// Sends the first `bytes` of a request and goes away without reading an answer.
fn hang_up(server: &Server, request: &str, bytes: usize, how: HangUp) {
    let mut client = server.connect();
    if let HangUp::Reset = how {
        client.send(b"GET /health HTTP/1.1\r\nhost: e2e\r\n\r\n").unwrap();
        // Its answer has come, and stays unread.
        client.writing_end().peek(&mut [0]).unwrap();
    }
    client.send(&request.as_bytes()[..bytes]).unwrap();
    if let HangUp::HalfClosed = how {
        client.writing_end().shutdown(Shutdown::Write).unwrap();
    }
}

fn versions(client: &mut Client, order: &str) -> usize {
    let answer = client.get(&format!("/orders/{order}/events")).unwrap();
    match answer.status {
        200 => answer.json().as_array().unwrap().len(),
        _ => 0,
    }
}

fn assert_whole_or_none(server: &Server) {
    let mut client = server.connect();
    for (number, how) in
        [HangUp::Closed, HangUp::HalfClosed, HangUp::Reset].into_iter().cycle().take(60).enumerate()
    {
        let order = format!("o-{number}");
        let placement = post(
            "/orders",
            &format!(
                r#"{{"order_id":"{order}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":7}}]}}"#
            ),
        );
        let payment = post(&format!("/orders/{order}/payment"), r#"{"payment_id":"p"}"#);
        let reservation = post(&format!("/orders/{order}/reserve"), r#"{"reservation_id":"r"}"#);
        for (done, request) in [placement, payment, reservation].iter().enumerate() {
            let head = request.find("\r\n\r\n").unwrap() + 4;
            for bytes in [10, head - 1, head, head + 1, request.len() - 1] {
                hang_up(server, request, bytes, how);
            }
            // None of these was a request.
            assert_eq!(versions(&mut client, &order), done, "{how:?}");
            // This one is; whether it takes effect is open, and to send it again settles it.
            hang_up(server, request, request.len(), how);
            client.send(request.as_bytes()).unwrap();
            let answer = client.answer().unwrap();
            assert_eq!(answer.version(), Some(done as u64 + 1), "{how:?}: {answer:?}");
            assert_eq!(versions(&mut client, &order), done + 1, "{how:?}");
        }
        let order = client.get(&format!("/orders/{order}")).unwrap();
        assert_eq!(order.json()["Status"], "inventory_reserved");
    }
}

#[test]
fn a_client_that_hangs_up_leaves_a_whole_command_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    assert_whole_or_none(&server);
    assert_eq!(server.get("/events?limit=1000").json().as_array().unwrap().len(), 180);
    server.stop();
    crate::checker::verify(directory.path()).unwrap();
}

#[test]
fn nor_on_the_memory_store() {
    let server = Program::serve().argument("--store", "memory:").start();
    assert_whole_or_none(&server);
    server.stop();
}
