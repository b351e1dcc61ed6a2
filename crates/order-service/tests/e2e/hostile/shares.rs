//! Clients that hold all that there is of something: they give way to those that hold less.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use super::crowd::{crowd, hung_up_on};
use super::machine::Watch;
use super::siege::{Siege, besiege};
use super::unread::{BODY_BYTES, FEED, SOON, already_answered, status};
use super::untaken::place_a_long_order;
use super::{frames, server};
use crate::http::{Client, post};
use crate::live_feed::Feed;
use crate::server::{Server, wait_until};

/// As many as the service follows at once by default.
const ALL_FEEDS: usize = 1_000;
/// How long a page may take while others ask for hundreds.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);
/// What one HTTP/2 connection may ask at once.
const STREAMS: u32 = 100;

pub(super) fn place(server: &Server, order: &str) {
    let body = format!(
        r#"{{"order_id":"{order}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
    );
    assert_eq!(server.post("/orders", &body).status, 201);
}

/// Connections that each follow as often as they may, and all together as often as anybody may.
fn hold_all_feeds(server: &Server, siege: &Siege, preface: &[u8]) -> Vec<TcpStream> {
    let said: Vec<u8> = preface.iter().copied().chain((0..STREAMS).flat_map(follow)).collect();
    let hogs = (0..ALL_FEEDS / STREAMS as usize).map(|_| {
        siege.hold(1);
        crowd(server.port(), 1, &said).remove(0)
    });
    hogs.collect()
}

fn follow(request: u32) -> Vec<u8> {
    frames::follow(request, "/events")
}

/// Follows until an order is placed.
fn follow_until(mut feed: Feed, order: &str) {
    while feed.next().expect("the feed goes on").1["subject"] != *order {}
}

fn preface_of_one_that_reads() -> Vec<u8> {
    [frames::PREFACE, &frames::settings(), &frames::take(None, 1 << 30)].concat()
}

#[test]
fn whoever_follows_often_gives_way_to_those_who_do_not_and_does_not_get_it_back() {
    besiege(server(), |server, siege| {
        let hogs = hold_all_feeds(server, siege, &preface_of_one_that_reads());
        std::thread::scope(|scope| {
            let hogs = HungUpOnDrop(hogs);
            for hog in &hogs.0 {
                let reading = hog.try_clone().unwrap();
                // Each feed that ends is asked for again.
                scope.spawn(|| {
                    frames::answer_pings_and_ask_again(reading, 100, |n| follow(STREAMS + 100 - n))
                });
            }
            let good: Vec<_> =
                (0..100).map(|_| Feed::open(server.port(), None).expect("there is a place")).collect();
            siege.hold(20);
            place(server, "last");
            good.into_iter().for_each(|feed| follow_until(feed, "last"));
            drop(hogs);
        });
    });
}

#[test]
fn whoever_does_not_even_take_the_end_of_a_feed_is_hung_up_on() {
    besiege(server(), |server, siege| {
        let mut hogs = hold_all_feeds(server, siege, &frames::preface_of_one_that_takes_nothing());
        let mut feeds = Vec::new();
        wait_until("they are hung up on", || {
            feeds.push(Feed::open(server.port(), None).expect("there is a place"));
            siege.hold(1);
            (hung_up_on(&mut hogs) > 0).then_some(())
        });
    });
}

#[test]
fn feeds_are_never_ended_while_there_are_places() {
    besiege(server(), |server, siege| {
        let said: Vec<u8> =
            preface_of_one_that_reads().into_iter().chain((0..STREAMS - 1).flat_map(follow)).collect();
        let mut many = crowd(server.port(), 4, &said);
        let single: Vec<_> =
            (0..500).map(|_| Feed::open(server.port(), None).expect("there is a place")).collect();
        siege.hold(20);
        place(server, "last");
        single.into_iter().for_each(|feed| follow_until(feed, "last"));
        assert_eq!(hung_up_on(&mut many), 0);
    });
}

#[test]
fn feeds_that_leave_pages_lying_let_go_of_them_for_others() {
    besiege(server(), |server, siege| {
        // A page is this one event, and no two of these feeds share it.
        place_a_long_order(server);
        let path = |feed| format!("/events?type=order.placed.v1&type=feed.v{feed}");
        let mut hogs = Vec::new();
        for hog in 0..6 {
            let follow = |number| frames::follow(number, &path(hog * STREAMS + number));
            // What a feed begins with, and a little of its first page.
            let said = [frames::preface_of_one_that_takes(10), (0..STREAMS).flat_map(follow).collect()];
            siege.hold(1);
            hogs.extend(crowd(server.port(), 1, &said.concat()));
        }
        siege.hold(20);
        let asked = Instant::now();
        let mut feed = wait_until("one is let in", || Feed::open(server.port(), None).ok());
        feed.next().expect("it goes on");
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        wait_until("some are hung up on", || (hung_up_on(&mut hogs) > 0).then_some(()));
    });
}

/// A connection from another address of this machine.
pub(super) fn connect_from(address: Ipv4Addr, port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    let connecting = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let stream = runtime.block_on(connecting).unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn one_machine_with_many_feeds_gives_way_to_another() {
    besiege(server(), |server, siege| {
        let mut crowd: Vec<_> = (0..ALL_FEEDS).map(|_| Feed::open(server.port(), None).unwrap()).collect();
        assert!(Feed::open(server.port(), None).is_err(), "each of them has one");
        let mut others: Vec<_> =
            (0..20).map(|_| connect_from(Ipv4Addr::new(127, 0, 0, 2), server.port())).collect();
        for other in &mut others {
            other.write_all(FEED).unwrap();
            assert_eq!(status(other), Some(200));
        }
        siege.hold(20);
        // The newest have ended.
        crowd.truncate(ALL_FEEDS - 20);
        place(server, "last");
        crowd.into_iter().for_each(|feed| follow_until(feed, "last"));
    });
}

pub(super) const LARGE_PAGE: &str = "/orders?limit=1000&view=full";

#[test]
fn whoever_asks_for_pages_again_and_again_leaves_some_to_those_who_ask_for_one() {
    besiege(server(), |server, siege| {
        (0..1_000).for_each(|number| place(server, &format!("o-{number}")));
        let gets = (0..STREAMS).flat_map(|number| frames::get(number, LARGE_PAGE));
        let said: Vec<u8> = frames::preface_of_one_that_takes_nothing().into_iter().chain(gets).collect();
        let hogs = crowd(server.port(), 3, &said);
        std::thread::scope(|scope| {
            let asking: Vec<_> = hogs.iter().map(|hog| hog.try_clone().unwrap()).collect();
            asking.into_iter().for_each(|hog| drop(scope.spawn(|| ask_again_and_again(hog))));
            let hogs = HungUpOnDrop(hogs);
            siege.hold(20);
            // At first each of them could have more than beside the others.
            wait_until("they have come to what each may have", || {
                (server.get(LARGE_PAGE).status == 200).then_some(())
            });
            let mut given = 0;
            wait_until("it was given twenty", || {
                given += usize::from(page_in_its_turn(server));
                (given == 20).then_some(())
            });
            drop(hogs);
        });
    });
}

/// Asks for a page, which is given, and soon. `false`: others had most of the machine.
fn page_in_its_turn(server: &Server) -> bool {
    let watch = Watch::start(server.process());
    let answer = server.get(LARGE_PAGE);
    let waited = watch.waited(MAX_WAIT / 2);
    if let Some(waited) = waited {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(waited < MAX_WAIT, "{waited:?}");
    }
    waited.is_some()
}

/// Takes back one after the other, and asks anew, so that some are always being made.
fn ask_again_and_again(mut hog: TcpStream) {
    for number in 0.. {
        let again = [frames::take_back(number), frames::get(number + STREAMS, LARGE_PAGE)];
        if hog.write_all(&again.concat()).is_err() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// So that whoever uses them elsewhere comes to an end.
struct HungUpOnDrop(Vec<TcpStream>);

impl Drop for HungUpOnDrop {
    fn drop(&mut self) {
        for stream in &self.0 {
            _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// An order in a body of 1 MiB.
fn large_order(order: &str) -> Vec<u8> {
    let mut body = format!(
        r#"{{"order_id":"{order}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
    );
    body.extend(std::iter::repeat_n(' ', BODY_BYTES - body.len()));
    post("/orders", &body).into_bytes()
}

/// Waits until nothing more comes of the bodies that the server reads. What their clients have sent it may not have read for a long
/// time, if it has little of the machine.
fn wait_until_bodies_are_still(server: &Server) {
    // More than twice as long as a body has to be still to give way.
    const STILL: Duration = Duration::from_millis(500);
    let taken = || {
        let figures = server.get("/metrics");
        let taken = |line: &&str| line.starts_with(r#"order_budget_used_bytes{budget="bodies"}"#);
        figures.text().lines().find(taken).expect("what bodies take is shown").to_owned()
    };
    let (mut last, mut since) = (taken(), Instant::now());
    wait_until("nothing more comes of them", || {
        let now = taken();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > STILL).then_some(())
    });
}

#[test]
fn bodies_of_which_nothing_comes_give_way_to_those_that_come() {
    besiege(server(), |server, siege| {
        let whole = large_order("stalled");
        let mut stalled = crowd(server.port(), 100, &whole[..whole.len() - 1]);
        siege.hold(20);
        wait_until_bodies_are_still(server);
        let port = server.port();
        std::thread::scope(|scope| {
            let slow = move |number: usize| {
                let request = large_order(&format!("slow-{number}"));
                let mut client = Client::connect(port).unwrap();
                // In a second, about.
                for piece in request.chunks(32 * 1024) {
                    client.send(piece).unwrap();
                    std::thread::park_timeout(Duration::from_millis(30));
                }
                client.answer().unwrap()
            };
            let sending: Vec<_> = (0..20).map(|number| scope.spawn(move || slow(number))).collect();
            for sent in sending {
                let answer = sent.join().unwrap();
                assert_eq!(answer.status, 201, "{}", answer.text());
            }
        });
        let refused = stalled.iter_mut().filter_map(already_answered).collect::<Vec<_>>();
        assert!(refused.len() >= 50 && refused.iter().all(|status| *status == 503), "{refused:?}");
    });
}
