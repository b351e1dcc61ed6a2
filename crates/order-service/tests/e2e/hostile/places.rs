//! Connections that are of no use to anybody: as many as the server has places, and more.

use super::crowd::{ALL_PLACES, crowd_in_pace, hung_up_on, open};
use super::siege::besiege;
use super::{frames, server};

/// More than there are places.
const TOO_MANY: usize = ALL_PLACES + 500;
/// Probes and orders that are waited for while an attack stands.
const A_WHILE: usize = 40;

#[test]
fn connections_that_say_one_byte_and_close_take_no_places() {
    besiege(server(), |server, siege| {
        for _ in 0..TOO_MANY / 500 {
            drop(crowd_in_pace(siege, server.port(), 500, b"P"));
        }
    });
}

#[track_caller]
fn assert_give_way(first: &[u8]) {
    besiege(server(), |server, siege| {
        let mut crowd = crowd_in_pace(siege, server.port(), TOO_MANY, first);
        siege.hold(A_WHILE);
        // Whoever comes later is let in all the same.
        crowd.extend((0..A_WHILE).map(|_| open(server.port())));
        siege.hold(A_WHILE);
        let gone = hung_up_on(&mut crowd);
        assert!((1..TOO_MANY / 2).contains(&gone), "only as many give way as others need places: {gone}");
    });
}

#[test]
fn idle_connections_give_way() {
    assert_give_way(b"");
}

#[test]
fn idle_http2_connections_give_way() {
    assert_give_way(&[frames::PREFACE, &frames::settings()].concat());
}

#[test]
fn heads_that_are_never_finished_give_way() {
    assert_give_way(b"GET /health HTTP/1.1\r\nhost: e2e\r\nx: ");
}

#[test]
fn long_heads_that_are_never_finished_take_no_more_memory_than_there_is_room_for() {
    let head = format!("GET /health HTTP/1.1\r\nhost: e2e\r\nx: {}", "x".repeat(15 * 1024));
    besiege(server(), |server, siege| {
        let crowd = crowd_in_pace(siege, server.port(), 8_000, head.as_bytes());
        siege.hold(A_WHILE);
        drop(crowd);
    });
}

#[test]
fn bodies_that_are_never_finished_give_way() {
    assert_give_way(
        b"POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{",
    );
}

#[test]
fn as_long_as_there_are_places_idle_connections_keep_theirs() {
    besiege(server(), |server, siege| {
        let mut crowd = crowd_in_pace(siege, server.port(), ALL_PLACES / 2, b"");
        siege.hold(A_WHILE);
        assert_eq!(hung_up_on(&mut crowd), 0);
    });
}
