//! The file changes while the service runs.

use std::fs;
use std::time::{Duration, Instant};

use crate::access::{AccessFile, ORDER, bearer, get, get_with, post_with, send, wait_for_log};
use crate::http::Client;
use crate::server::wait_until;

/// How soon a change counts.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_change_counts_within_two_seconds_without_a_restart() {
    let file = AccessFile::new();
    let first = file.add("first", "read", "");
    let server = file.start();
    assert_eq!(get_with(&server, "/orders", &first).status, 200);
    let second = file.add("second", "read", "");
    let added = Instant::now();
    wait_until("the second key opens", || {
        (get_with(&server, "/orders", &second).status == 200).then_some(())
    });
    assert!(added.elapsed() < SOON, "{:?}", added.elapsed());
    let whole = file.read();
    let (_, only_second) = whole.split_at(whole.rfind("\n[[keys]]").unwrap());
    file.replace(only_second);
    let revoked = Instant::now();
    wait_until("the first key is revoked", || {
        (get_with(&server, "/orders", &first).status == 401).then_some(())
    });
    assert!(revoked.elapsed() < SOON, "{:?}", revoked.elapsed());
    assert_eq!(get_with(&server, "/orders", &second).status, 200);
    server.stop();
}

#[test]
fn a_bad_file_leaves_the_rules_as_they_were_and_is_told() {
    let file = AccessFile::new();
    let key = file.add("key", "read", "");
    let good = file.read();
    let server = file.start();
    let cut = &good[..good.len() / 2];
    for (text, told) in [
        ("", "the file ends in the middle of a line"),
        ("\n", "there is no key in it"),
        (cut, "the file ends in the middle of a line"),
        ("[[keys]]\nid = 'x'\n", "line 1: name is missing; line 1: scopes is missing"),
        ("\u{feff}[[keys\n", "line 1: "),
    ] {
        file.replace(text);
        wait_for_log(&server, told);
        assert_eq!(get_with(&server, "/orders", &key).status, 200, "{text}");
    }
    fs::write(file.path(), b"\xff\xfe\n").unwrap();
    wait_for_log(&server, "valid UTF-8");
    fs::write(file.path(), vec![b'#'; 2 << 20]).unwrap();
    wait_for_log(&server, "it is longer than 1048576 bytes");
    fs::remove_file(file.path()).unwrap();
    wait_for_log(&server, "No such file or directory");
    assert_eq!(get_with(&server, "/orders", &key).status, 200);
    file.replace(&good);
    wait_for_log(&server, "is in force");
    assert_eq!(get_with(&server, "/orders", &key).status, 200);
    server.stop();
}

#[test]
fn an_open_feed_ends_when_its_key_is_revoked_and_another_goes_on() {
    let file = AccessFile::new();
    let stays = file.add("stays", "events,place", "");
    let kept = file.read();
    let goes = file.add("goes", "events", "");
    let server = file.start();
    let mut feeds = [&stays, &goes].map(|key| {
        let mut client = server.connect();
        let fields = format!("accept: text/event-stream\r\n{}", bearer(key));
        client.send(get("/events").replacen("\r\n", &format!("\r\n{fields}"), 1).as_bytes()).unwrap();
        assert_eq!(client.head().unwrap().0, 200);
        client
    });
    file.replace(&kept);
    assert_ends(&mut feeds[1]);
    let refused = send(&mut server.connect(), &get("/events"), &bearer(&goes)).unwrap();
    assert_eq!(refused.code(), "unauthenticated");
    assert_eq!(post_with(&server, "/orders", &stays, ORDER).status, 201);
    let mut seen = String::new();
    while !seen.contains("order.placed") {
        seen += str::from_utf8(&feeds[0].chunk().unwrap().expect("it goes on")).unwrap();
    }
    server.stop();
}

#[test]
fn an_open_feed_ends_when_its_key_expires() {
    let file = AccessFile::new();
    let expires = jiff::Timestamp::from_second(jiff_now() + 5).unwrap();
    let key = file.add("short", "events", &format!("expires = {expires}"));
    let server = file.start();
    let mut client = server.connect();
    let fields = format!("accept: text/event-stream\r\n{}", bearer(&key));
    client.send(get("/events").replacen("\r\n", &format!("\r\n{fields}"), 1).as_bytes()).unwrap();
    assert_eq!(client.head().unwrap().0, 200);
    assert_ends(&mut client);
    assert_eq!(get_with(&server, "/events", &key).json()["detail"], "The key or token has expired.");
    server.stop();
}

/// A feed that goes on says so every 15 seconds.
#[track_caller]
fn assert_ends(feed: &mut Client) {
    assert!((0..4).any(|_| feed.chunk().unwrap().is_none()), "it goes on");
}

#[expect(clippy::disallowed_methods, reason = "a test that lets a key expire has to know the time")]
fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_second()
}
