//! Feeds that nobody reads, pages that nobody takes, bodies that are never finished: what they may hold is bounded.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::crowd::crowd;
use super::siege::besiege;
use super::{frames, server};
use crate::http::Client;
use crate::server::Server;

/// Probes and orders that are waited for while an attack stands.
const A_WHILE: usize = 40;
/// As many as the service follows at once by default.
const ALL_FEEDS: usize = 1_000;
pub(super) const FEED: &[u8] = b"GET /events HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n\r\n";
const FULL_LIST: &[u8] = b"GET /orders?limit=1000&view=full HTTP/1.1\r\nhost: e2e\r\n\r\n";
/// Long before clients have had their time.
pub(super) const SOON: Duration = Duration::from_secs(20);
pub(super) const BODY_BYTES: usize = 1024 * 1024;

/// Orders of 10 KB each.
fn place_large_orders(server: &Server, prefix: &str, count: usize) {
    let notes: Vec<String> =
        (0..40).map(|note| format!(r#""note-{note:03}":"{}""#, "n".repeat(230))).collect();
    let notes = notes.join(",");
    let mut client = server.connect();
    for number in 0..count {
        let body = format!(
            r#"{{"order_id":"{prefix}-{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}],"metadata":{{{notes}}}}}"#
        );
        assert_eq!(client.post("/orders", &body).unwrap().status, 201);
    }
}

/// The status of an answer; `None` if the client was hung up on.
pub(super) fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut line = [0; 12];
    stream.read_exact(&mut line).ok()?;
    String::from_utf8_lossy(&line).rsplit(' ').next()?.parse().ok()
}

fn count_of(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

/// The ids of events that a feed brings, until one of an order.
fn ids_until(feed: &mut Client, order: &str) -> Vec<u64> {
    let (mut text, mut ids, subject) = (String::new(), Vec::new(), format!(r#""subject":"{order}""#));
    loop {
        while let Some((frame, rest)) = text.split_once("\n\n") {
            let data = frame.split_once("\ndata: ");
            if let Some((id, data)) = data {
                ids.push(id.strip_prefix("id: ").unwrap().parse().unwrap());
                if data.contains(&subject) {
                    return ids;
                }
            }
            text = rest.to_owned();
        }
        let chunk = feed.chunk().unwrap().expect("the feed goes on");
        text.push_str(std::str::from_utf8(&chunk).expect("frames are whole"));
    }
}

#[test]
fn feeds_that_nobody_reads_cost_little_and_a_feed_beside_them_goes_on() {
    besiege(server(), |server, siege| {
        let mut good = server.connect();
        good.send(FEED).unwrap();
        assert_eq!(good.head().unwrap().0, 200);
        let good = std::thread::spawn(move || ids_until(&mut good, "meanwhile-49"));
        place_large_orders(server, "before", 100);
        let mut unread = crowd(server.port(), 3 * ALL_FEEDS, FEED);
        for stream in &unread {
            // Some have been hung up on already.
            let _ = set_socket_recv_buffer_size(stream, 4096);
        }
        siege.hold(A_WHILE);
        place_large_orders(server, "meanwhile", 50);
        siege.hold(A_WHILE);
        let ids = good.join().unwrap();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
        let statuses: Vec<_> = unread.iter_mut().filter_map(status).collect();
        assert!(count_of(&statuses, 503) > 0, "all were let in");
    });
}

#[test]
fn a_slow_feed_and_a_fast_one_get_the_same_events() {
    besiege(server(), |server, _| {
        let [mut slow, mut fast] = [(); 2].map(|()| server.connect());
        for feed in [&mut slow, &mut fast] {
            feed.send(FEED).unwrap();
            assert_eq!(feed.head().unwrap().0, 200);
        }
        let mut read_fast = Vec::new();
        for round in 0..20 {
            place_large_orders(server, &format!("o-{round}"), 50);
            read_fast.extend(ids_until(&mut fast, &format!("o-{round}-49")));
        }
        let read_slow = ids_until(&mut slow, "o-19-49");
        assert_eq!(read_slow, (1..=read_slow.len() as u64).collect::<Vec<_>>());
        assert_eq!(read_fast, read_slow);
    });
}

#[test]
fn pages_of_full_views_that_nobody_takes_cost_little() {
    besiege(server(), |server, siege| {
        place_large_orders(server, "o", 100);
        let mut untaken = crowd(server.port(), 2_000, FULL_LIST);
        siege.hold(A_WHILE);
        let statuses: Vec<_> = untaken.iter_mut().filter_map(status).collect();
        assert!(count_of(&statuses, 503) > 0, "all were let in");
        let begun = Instant::now();
        crate::server::wait_until("a page is given", || {
            (server.get("/orders?limit=1000&view=full").status == 200).then_some(())
        });
        assert!(begun.elapsed() < SOON, "whoever takes a page had to wait for those who do not");
    });
}

/// Places orders whose events are more than half a mebibyte. The path of a page that has two of them, whatever else is placed
/// meanwhile.
fn place_huge_orders(server: &Server) -> String {
    let longest = "\u{1f4e6}".repeat(120);
    let items: Vec<String> = (0..1_000)
        .map(|line| format!(r#"{{"SKU":"{longest}{line}","Quantity":1,"UnitPriceCents":1}}"#))
        .collect();
    let items = items.join(",");
    for order in ["h-1", "h-2"] {
        let body = format!(r#"{{"order_id":"{order}","customer_id":"c","items":[{items}]}}"#);
        assert_eq!(server.post("/orders", &body).status, 201);
    }
    let position = &server.get("/orders/h-1/events").json()[0]["position"];
    let position: u64 = position.as_str().unwrap().parse().unwrap();
    format!("/events?limit=40&after={}", position - 1)
}

#[test]
fn pages_of_a_few_huge_events_that_nobody_takes_cost_little() {
    const STREAMS: usize = 100;
    besiege(server(), |server, siege| {
        let page = place_huge_orders(server);
        let gets = (0..STREAMS as u32).flat_map(|number| frames::get(number, &page));
        let said: Vec<u8> = frames::preface_of_one_that_takes_nothing().into_iter().chain(gets).collect();
        // One after the other: all at once would only show how fast the server reads them.
        let come = |_| {
            siege.hold(1);
            crowd(server.port(), 1, &said)
        };
        let mut untaken: Vec<_> = (0..10).flat_map(come).collect();
        let begun: Vec<_> = untaken.iter_mut().map(|stream| frames::take_heads(stream, STREAMS)).collect();
        assert!(begun.iter().all(|begun| *begun == STREAMS), "{begun:?}");
        siege.hold(A_WHILE);
        drop(untaken);
        crate::server::wait_until("a page is given", || (server.get(&page).status == 200).then_some(()));
    });
}

/// A request of whose body so much has come.
fn unfinished_body(come: usize) -> Vec<u8> {
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
    );
    (head + &" ".repeat(come)).into_bytes()
}

#[test]
fn bodies_that_are_never_finished_are_bounded_together() {
    besiege(server(), |server, siege| {
        let mut unfinished = crowd(server.port(), 1_000, &unfinished_body(BODY_BYTES - 1));
        siege.hold(A_WHILE);
        let refused: Vec<_> = unfinished.iter_mut().filter_map(already_answered).collect();
        assert_eq!(count_of(&refused, 503), refused.len());
        assert!(refused.len() >= 930, "{} were refused", refused.len());
        // A body that comes in two parts is taken beside them, if it is small.
        let mut client = server.connect();
        let body =
            r#"{"order_id":"small","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
        let request = crate::http::post("/orders", body);
        let (begin, end) = request.split_at(request.len() - 40);
        client.send(begin.as_bytes()).unwrap();
        siege.hold(2);
        client.send(end.as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, 201);
    });
}

#[test]
fn bodies_of_which_a_little_has_come_take_no_more_memory_than_is_counted() {
    besiege(server(), |server, siege| {
        let unfinished = crowd(server.port(), 1_000, &unfinished_body(17_000));
        siege.hold(A_WHILE);
        drop(unfinished);
    });
}

/// The status of an answer, if there is one.
pub(super) fn already_answered(stream: &mut TcpStream) -> Option<u16> {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut line = [0; 12];
    stream.peek(&mut line).ok().filter(|peeked| *peeked == line.len())?;
    status(stream)
}

#[test]
fn a_little_memory_for_each_client_is_no_huge_page_for_each() {
    let server = server().start();
    assert_ne!(server.process().may_have_huge_pages(), Some(true));
    server.stop();
}
