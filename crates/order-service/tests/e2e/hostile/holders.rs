//! Clients that take much and let go of little.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::crowd::{ALL_PLACES, crowd, crowd_in_pace, hung_up_on};
use super::siege::{MOST_RESIDENT_KIB, besiege, one_at_a_time};
use super::unread::SOON;
use super::untaken::{LONG_ANSWER, crowd_without_buffers, place_a_long_order, place_long_orders};
use super::{frames, server};
use crate::http::Client;
use crate::server::{Server, wait_until};

/// An answer of 1.5 MB, whose room is kept as a whole.
const LARGE_ANSWER: &str = "/docs/swagger-ui-bundle.js";

/// Connections that have more of them together than there is room for.
const HOLDERS: usize = 100;
/// How many want one beside them.
const OTHERS: usize = 4;

/// Takes so much of an answer at so many bytes a second, and the rest as it comes. How many bytes came.
fn take_slowly(mut stream: TcpStream, slowly: usize, rate: u64) -> usize {
    let (mut taken, mut piece) = (0, [0; 4096]);
    while let Ok(bytes @ 1..) = stream.read(&mut piece) {
        taken += bytes;
        if taken > slowly {
            continue;
        }
        std::thread::park_timeout(Duration::from_micros(1_000_000 * bytes as u64 / rate));
    }
    taken
}

#[test]
fn whoever_takes_a_piece_now_and_then_is_ended_and_whoever_is_slow_is_not() {
    besiege(server(), |server, siege| {
        place_a_long_order(server);
        let whole = server.get(LONG_ANSWER).body.len();
        let request = format!("GET {LONG_ANSWER} HTTP/1.0\r\nhost: e2e\r\n\r\n");
        let port = server.port();
        let slow = crowd_without_buffers(port, 3, request.as_bytes());
        std::thread::scope(|scope| {
            let take = |stream| scope.spawn(|| take_slowly(stream, usize::MAX, 64 * 1024));
            let slow: Vec<_> = slow.into_iter().map(take).collect();
            siege.hold(20);
            // All of them ask for more than there is room for.
            let preface = frames::preface_of_one_that_takes_nothing();
            let asked = [preface, frames::take(None, 1 << 30), frames::get(0, LARGE_ANSWER)].concat();
            let mut holders = crowd(port, HOLDERS, &asked);
            for _ in 0..15 {
                for holder in &mut holders {
                    let _ = holder.write_all(&frames::take(Some(0), 16 * 1024));
                }
                std::thread::park_timeout(Duration::from_millis(110));
                // Others want room, too, and more than is let go of meanwhile.
                let ask =
                    || scope.spawn(move || Client::connect(port).unwrap().get(LARGE_ANSWER).unwrap().status);
                let asking: Vec<_> = (0..OTHERS).map(|_| ask()).collect();
                for asked in asking {
                    let status = asked.join().unwrap();
                    assert!(status == 200 || status == 503, "{status}");
                }
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
    type Head = fn(u32) -> Vec<u8>;
    // The last lies in a buffer with something else that is long, and holds all of it.
    let heads: [(usize, Head); 4] = [
        (120, |number| frames::begin_order_with_fields(number, 90)),
        (120, |number| frames::begin_order_with_fields(number, 440)),
        (330, |number| frames::begin_order_with_query(number, 15_500)),
        (330, |number| [frames::begin_order_with_query(number, 127), frames::unknown(7_000)].concat()),
    ];
    for (connections, head) in heads {
        besiege(server(), |server, siege| {
            let heads = (0..100).flat_map(head);
            let said: Vec<u8> =
                [frames::PREFACE, &frames::settings()].concat().into_iter().chain(heads).collect();
            // One after the other: all at once would only show how fast the server reads them.
            let come = |_| {
                siege.hold(1);
                crowd(server.port(), 1, &said)
            };
            let crowd: Vec<_> = (0..connections).flat_map(come).collect();
            siege.hold(20);
            drop(crowd);
        });
    }
}

#[test]
fn heads_that_come_all_at_once_are_not_made_before_there_is_room_for_them() {
    let greeting = [frames::PREFACE, &frames::settings()].concat();
    let _alone = one_at_a_time();
    for (connections, fields) in [(1_000, 60), (4_000, 0)] {
        let said = [&greeting[..], &frames::begin_orders_with_known_fields(0..100, fields)].concat();
        let server = server().start();
        let crowd = crowd(server.port(), connections, &said);
        // How long that takes says more of a build for tests than of the service: nobody is probed meanwhile.
        for _ in 0..100 {
            assert_eq!(server.get("/health").status, 200);
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let peak = server.process().peak_resident_kib();
        assert!(peak <= MOST_RESIDENT_KIB, "with {fields} fields it took {} MiB", peak / 1024);
        drop(crowd);
        server.stop();
    }
}

/// What counts as not taken by clients.
fn counted_bytes(server: &Server) -> usize {
    let metrics = server.get("/metrics");
    let text = metrics.text();
    let figure = text.lines().find_map(|line| line.strip_prefix("order_answers_untaken_bytes "));
    figure.expect("it is told").parse().unwrap()
}

#[test]
fn a_connection_that_has_had_many_requests_at_once_counts_for_them_as_long_as_it_lasts() {
    const REQUESTS: u32 = 100;
    let server = server().start();
    let begin = (0..REQUESTS).flat_map(|number| frames::begin_order_with_fields(number, 0));
    let greeting = [frames::PREFACE, &frames::settings()].concat();
    let mut crowd = crowd(server.port(), 1, &greeting.into_iter().chain(begin).collect::<Vec<_>>());
    wait_until("all of them are open", || (counted_bytes(&server) > 2_000_000).then_some(()));
    crowd[0].write_all(&(0..REQUESTS).flat_map(frames::take_back).collect::<Vec<_>>()).unwrap();
    wait_until("they are gone", || (counted_bytes(&server) < 1_000_000).then_some(()));
    assert!(counted_bytes(&server) > 128 * 1024, "the library keeps its table");
    drop(crowd);
    wait_until("it is gone", || (counted_bytes(&server) == 0).then_some(()));
    server.stop();
}

#[test]
fn a_request_that_is_refused_does_not_wait_long_for_its_body() {
    let server = server().start();
    let greeting = [frames::PREFACE, &frames::settings()].concat();
    // It says nothing of a media type.
    let head = frames::begin_orders_with_known_fields(0..1, 0);
    let mut crowd = crowd(server.port(), 1, &[greeting, head].concat());
    crowd[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(frames::is_reset(&mut crowd[0]));
    server.stop();
}

#[test]
fn heads_over_http1_whose_bodies_are_waited_for_take_no_more_either_and_trailers_do_not() {
    let head = |fields: usize| {
        let short = (0..fields).map(|number| format!("x-{number:02}: {}\r\n", "v".repeat(70)));
        let fields: String = short.collect();
        let json = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
        format!("POST /orders HTTP/1.1\r\nhost: e2e\r\n{json}{fields}\r\n1\r\n{{\r\n")
    };
    let trailer = |bytes: usize| format!("0\r\nx: {}", "v".repeat(bytes));
    for said in [head(97), head(0) + &trailer(7_000), head(97) + &trailer(2_000)] {
        besiege(server(), |server, siege| {
            let crowd = crowd_in_pace(siege, server.port(), ALL_PLACES, said.as_bytes());
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

/// Takes less than a MiB, which is what is set aside for it.
const LARGE_PAGE: &str = "/events?limit=1000";

/// A server with room for two such pages, two clients that have asked for them, and how long one is.
fn two_of_two_pages() -> (Server, Vec<TcpStream>, usize) {
    let server = server().argument("--max-open-page-bytes", "2500000").start();
    place_long_orders(&server, 5);
    let whole = server.get(LARGE_PAGE).body.len();
    assert!(whole < 1024 * 1000, "{whole}");
    let request = format!("GET {LARGE_PAGE} HTTP/1.0\r\nhost: e2e\r\n\r\n");
    let clients = crowd_without_buffers(server.port(), 2, request.as_bytes());
    (server, clients, whole)
}

/// A little more than the least rate at which whoever reads keeps its page, and as much as takes twice as long as a page of which
/// nothing is taken is left alone.
const SLOWEST_RATE: u64 = 6 * 1024;
const SLOWLY: usize = 96 * 1024;

#[test]
fn whoever_reads_on_is_not_ended_for_a_page() {
    let (server, slow, whole) = two_of_two_pages();
    let mut refused = 0;
    std::thread::scope(|scope| {
        let take = |stream| scope.spawn(|| take_slowly(stream, SLOWLY, SLOWEST_RATE));
        let slow: Vec<_> = slow.into_iter().map(take).collect();
        while !slow.iter().all(|taking| taking.is_finished()) {
            let answer = server.get(LARGE_PAGE);
            refused += usize::from(answer.status == 503 && answer.header("retry-after").is_some());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        for taken in slow {
            let taken = taken.join().unwrap();
            assert!(taken > whole, "a slow client got {taken} bytes of {whole}");
        }
    });
    assert!(refused > 0);
    server.stop();
}

#[test]
fn whoever_takes_nothing_loses_its_page_to_another_if_it_is_wanted() {
    let (server, still, _) = two_of_two_pages();
    assert_eq!(server.get(LARGE_PAGE).status, 503);
    let asked = Instant::now();
    wait_until("a page is given", || (server.get(LARGE_PAGE).status == 200).then_some(()));
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    // A reset is noticed without reading, once; whoever read would get the page after all.
    let is_reset = |stream: &TcpStream| stream.take_error().unwrap().is_some();
    wait_until("somebody has lost one", || still.iter().any(is_reset).then_some(()));
    assert!(!still.iter().any(is_reset), "one is enough");
    drop(still);
    server.stop();
}
