//! Clients that take much and let go of little.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::crowd::{crowd, hung_up_on};
use super::siege::besiege;
use super::untaken::{LONG_ANSWER, crowd_without_buffers, place_a_long_order};
use super::{frames, server};
use crate::http::Client;

/// An answer of 1.5 MB, whose room is kept as a whole.
const LARGE_ANSWER: &str = "/docs/swagger-ui-bundle.js";

/// Connections that have more of them together than there is room for.
const HOLDERS: usize = 100;

/// Takes an answer at 64 KiB/s. How many bytes came.
fn take_slowly(mut stream: TcpStream) -> usize {
    let (mut taken, mut piece) = (0, [0; 4096]);
    while let Ok(bytes @ 1..) = stream.read(&mut piece) {
        taken += bytes;
        std::thread::park_timeout(Duration::from_micros(1_000_000 * bytes as u64 / (64 * 1024)));
    }
    taken
}

#[test]
fn whoever_takes_a_piece_now_and_then_is_ended_and_whoever_is_slow_is_not() {
    besiege(server(), |server, siege| {
        place_a_long_order(server);
        let whole = server.get(LONG_ANSWER).body.len();
        let request = format!("GET {LONG_ANSWER} HTTP/1.0\r\nhost: e2e\r\n\r\n");
        let slow = crowd_without_buffers(server.port(), 3, request.as_bytes());
        std::thread::scope(|scope| {
            let slow: Vec<_> = slow.into_iter().map(|stream| scope.spawn(|| take_slowly(stream))).collect();
            siege.hold(20);
            // All of them ask for more than there is room for.
            let preface = frames::preface_of_one_that_takes_nothing();
            let asked = [preface, frames::take(None, 1 << 30), frames::get(0, LARGE_ANSWER)].concat();
            let mut holders = crowd(server.port(), HOLDERS, &asked);
            for _ in 0..15 {
                for holder in &mut holders {
                    let _ = holder.write_all(&frames::take(Some(0), 16 * 1024));
                }
                std::thread::park_timeout(Duration::from_millis(110));
                // Others want room, too.
                let status = server.get(LARGE_ANSWER).status;
                assert!(status == 200 || status == 503, "{status}");
            }
            assert!(hung_up_on(&mut holders) > 0);
            for taken in slow {
                assert!(taken.join().unwrap() > whole, "a slow client is served to the end");
            }
        });
    });
}

#[test]
fn heads_whose_bodies_are_waited_for_take_no_more_than_there_is_room_for() {
    for fields in [90, 440] {
        besiege(server(), |server, siege| {
            let heads = (0..100).flat_map(|number| frames::begin_order_with_fields(number, fields));
            let said: Vec<u8> =
                [frames::PREFACE, &frames::settings()].concat().into_iter().chain(heads).collect();
            // One after the other: all at once would only show how fast the server reads them.
            let come = |_| {
                siege.hold(1);
                crowd(server.port(), 1, &said)
            };
            let crowd: Vec<_> = (0..120).flat_map(come).collect();
            siege.hold(20);
            drop(crowd);
        });
    }
}

#[test]
fn idle_connections_keep_nothing_of_their_long_answers() {
    besiege(server(), |server, siege| {
        place_a_long_order(server);
        let clients: Vec<Client> = (0..5_000)
            .map(|number| {
                if number % 100 == 0 {
                    siege.hold(1);
                }
                let mut client = Client::connect(server.port()).unwrap();
                assert_eq!(client.get(LONG_ANSWER).unwrap().status, 200);
                client
            })
            .collect();
        siege.hold(20);
        drop(clients);
    });
}
