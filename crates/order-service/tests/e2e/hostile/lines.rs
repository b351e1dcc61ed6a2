//! Clients that wait for their turns, in lines as long as one machine can make them.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use super::crowd::crowd;
use super::server;
use super::shares::{LARGE_PAGE, MAX_WAIT, connect_from, place};
use super::siege::one_at_a_time;
use super::unread::status;
use super::untaken::assert_stops_soon;
use crate::server::{Program, Server};

/// A server with room for as many pages as anybody here asks for, which has 25 s for what is in flight when it stops.
fn roomy_server() -> Program {
    server().argument("--max-open-page-bytes", "1000000000").argument("--grace-seconds", "25")
}

fn request() -> String {
    format!("GET {LARGE_PAGE} HTTP/1.1\r\nhost: e2e\r\n\r\n")
}

fn place_orders(server: &Server) {
    (0..1_000).for_each(|number| place(server, &format!("o-{number}")));
}

/// Hundreds of clients that each ask for a page of all orders. Most of them wait for their turns.
fn line(server: &Server) -> Vec<TcpStream> {
    crowd(server.port(), 300, request().as_bytes())
}

#[test]
fn another_machine_does_not_wait_behind_all_that_one_has_asked_for() {
    let _alone = one_at_a_time();
    let server = roomy_server().start();
    place_orders(&server);
    let line = line(&server);
    let asked = Instant::now();
    let mut other = connect_from(Ipv4Addr::new(127, 0, 0, 2), server.port());
    other.write_all(request().as_bytes()).unwrap();
    assert_eq!(status(&mut other), Some(200));
    assert!(asked.elapsed() < MAX_WAIT / 2, "{:?}", asked.elapsed());
    drop(line);
    assert_stops_soon(server);
}

#[test]
fn whoever_has_left_the_line_keeps_no_turn_and_is_not_waited_for_at_the_end() {
    let _alone = one_at_a_time();
    let server = roomy_server().start();
    place_orders(&server);
    drop(line(&server));
    let asked = Instant::now();
    assert_eq!(server.get(LARGE_PAGE).status, 200);
    assert!(asked.elapsed() < MAX_WAIT / 2, "{:?}", asked.elapsed());
    drop(line(&server));
    assert_stops_soon(server);
}

#[test]
fn whoever_waits_in_line_is_told_when_the_server_stops() {
    let _alone = one_at_a_time();
    let server = roomy_server().start();
    place_orders(&server);
    let mut line = line(&server);
    let stopping = std::thread::spawn(move || assert_stops_soon(server));
    let refused = line.iter_mut().filter_map(status).filter(|status| *status == 503).count();
    stopping.join().unwrap();
    assert!(refused > line.len() / 2, "{refused} were told");
}
