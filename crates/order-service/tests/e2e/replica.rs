//! A replica of the real binary, from a real broker: it answers as the primary does, byte for byte.

mod by_hand;
mod from_file;
mod restored;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use serde_json::Value;
use test_servers::kafka::KafkaServer;
use test_servers::nats::{NatsOptions, NatsServer};

use crate::export::fill;
use crate::live_feed::Feed;
use crate::server::{Program, Server, wait_until};

fn primary(directory: &Path, bus: &str) -> Program {
    Program::serving(&directory.join("primary")).argument("--bus", bus)
}

fn replica(directory: &Path, from: &str) -> Program {
    let store = format!("sqlite:{}", directory.join("replica/orders.db").display());
    Program::new(["replica", "--listen", "127.0.0.1:0"]).argument("--from", from).argument("--store", store)
}

/// What `/ready` says of the replica, with its status.
fn readiness(replica: &Server) -> (u16, Value) {
    let answer = replica.get("/ready");
    (answer.status, answer.json()["checks"]["replica"].clone())
}

fn head(primary: &Server) -> u64 {
    let mut after = 0;
    loop {
        let page = primary.get(&format!("/events?after={after}&limit=1000")).json();
        let Some(last) = page.as_array().unwrap().last() else { return after };
        after = last["position"].as_str().unwrap().parse().unwrap();
    }
}

/// Waits until the broker has all that the primary has.
#[track_caller]
fn relayed(primary: &Server) {
    let head = head(primary);
    wait_until("all is relayed", || {
        let relays = primary.get("/ready").json()["checks"]["relays"].clone();
        relays.as_object().unwrap().values().all(|relay| relay["position"] == head).then_some(())
    });
}

/// Waits until the replica has all that the primary has.
#[track_caller]
fn caught_up(replica: &Server, primary: &Server) {
    caught_up_at(replica, head(primary));
}

#[track_caller]
fn caught_up_at(replica: &Server, head: u64) {
    wait_until("the replica has caught up", || {
        let (status, told) = readiness(replica);
        (status == 200 && told["state"] == "following" && told["position"] == head).then_some(())
    });
}

/// Every page of a list, the headers included.
#[track_caller]
fn assert_same_pages(primary: &Server, replica: &Server, path: &str) {
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let (expected, found) = (primary.get_undated(&path), replica.get_undated(&path));
        assert_eq!(found, expected, "{path}: {}", found.text());
        assert_eq!(found.status, 200, "{path}");
        let link = found.header("link").and_then(|link| link.strip_prefix('<')?.split_once('>'));
        next = link.map(|(path, _)| path.to_owned());
    }
}

#[track_caller]
fn assert_same(primary: &Server, replica: &Server) {
    for path in
        ["/orders?limit=7", "/orders?limit=7&view=full", "/events?limit=11", "/events?type=order.placed.v1"]
    {
        assert_same_pages(primary, replica, path);
    }
    for order in primary.get("/orders?limit=1000").json().as_array().unwrap() {
        let order = order["OrderID"].as_str().unwrap();
        for path in ["", "?view=full", "/events"] {
            assert_same_pages(primary, replica, &format!("/orders/{order}{path}"));
        }
    }
    let unknown = "/orders/nobody";
    assert_eq!(replica.get_undated(unknown), primary.get_undated(unknown));
}

fn answers_as_the_primary(bus: &str) {
    let directory = tempfile::tempdir().unwrap();
    let primary = primary(directory.path(), bus).start();
    fill(&primary, 0..50);
    let replica = replica(directory.path(), bus).start();
    caught_up(&replica, &primary);
    assert_eq!(readiness(&replica).1["behind"], 0, "it has caught up just now, and nothing came since");
    let feeds = [&primary, &replica].map(|server| Feed::open(server.port(), None).unwrap());
    fill(&primary, 50..80);
    caught_up(&replica, &primary);
    assert_same(&primary, &replica);
    let events = feeds.map(|mut feed| (0..head(&primary)).map(|_| feed.next().unwrap()).collect::<Vec<_>>());
    assert_eq!(events[0], events[1], "the live feeds");

    let refused = replica.post("/orders/o1/payment", "{}");
    assert_eq!((refused.status, refused.code().as_str()), (405, "method-not-allowed"));
    assert!(refused.text().contains("Commands go to the primary"), "{}", refused.text());
    let (_, told) = readiness(&replica);
    assert_eq!(told["state"], "following");
    replica.stop();
    primary.stop();
}

#[test]
fn a_replica_behind_nats_answers_as_the_primary() {
    let nats = NatsServer::start(&NatsOptions::default()).unwrap();
    answers_as_the_primary(&nats.url());
}

#[test]
fn a_replica_behind_kafka_answers_as_the_primary() {
    let kafka = KafkaServer::shared().unwrap();
    for partitions in [1, 3] {
        let bus =
            format!("kafka://{}/?topic=replica.{partitions}&partitions={partitions}", kafka.bootstrap());
        answers_as_the_primary(&bus);
    }
}

#[test]
fn a_replica_shows_events_under_the_primarys_source() {
    let nats = NatsServer::start(&NatsOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let primary = primary(directory.path(), &nats.url()).argument("--event-source", "/shop-a").start();
    let replica = replica(directory.path(), &nats.url()).start();
    fill(&primary, 0..10);
    caught_up(&replica, &primary);
    assert_same(&primary, &replica);
    let mut feed = Feed::open(replica.port(), None).unwrap();
    for event in primary.get("/events?limit=1000").json().as_array().unwrap() {
        assert_eq!(event["source"], "/shop-a");
        assert_eq!(&feed.next().unwrap().1, event);
    }
    replica.stop();
    primary.stop();
}

#[test]
fn a_replica_that_is_killed_goes_on_where_it_was() {
    let nats = NatsServer::start(&NatsOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let primary = primary(directory.path(), &nats.url()).start();
    let start =
        || replica(directory.path(), &nats.url()).argument("--log", "info,order_application=debug").start();
    for life in 0..4 {
        let running = start();
        fill(&primary, life * 100..life * 100 + 50);
        // In the middle of something, most likely.
        let before = readiness(&running).1["position"].as_u64();
        fill(&primary, life * 100 + 50..life * 100 + 100);
        running.kill();
        let again = start();
        assert!(readiness(&again).1["position"].as_u64() >= before, "nothing is forgotten");
        caught_up(&again, &primary);
        assert_same_pages(&primary, &again, "/events?limit=1000");
        again.kill();
    }
    let replica = start();
    caught_up(&replica, &primary);
    assert_same(&primary, &replica);
}

/// Removes the messages before a sequence, as NATS does by itself with those that are too old.
fn purge(nats: &NatsServer, before: u64) {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, nats.port())).unwrap();
    let request = format!(r#"{{"seq":{before}}}"#);
    let commands = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.PURGE.ORDERS answer {}\r\n{request}\r\n",
        request.len()
    );
    connection.write_all(commands.as_bytes()).unwrap();
    let mut answer = String::new();
    while !answer.contains("\"success\":true") {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).unwrap();
        assert!(read > 0, "no answer: {answer}");
        answer += &String::from_utf8_lossy(&buffer[..read]);
    }
}

#[test]
fn a_history_that_begins_late_is_told_and_completed_from_a_file() {
    let nats = NatsServer::start(&NatsOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let primary = primary(directory.path(), &nats.url()).start();
    fill(&primary, 0..60);
    relayed(&primary);
    purge(&nats, 31);

    let late = replica(directory.path(), &nats.url()).start();
    let told = wait_until("it is missing", || {
        let (status, told) = readiness(&late);
        (told["state"] == "missing").then_some((status, told))
    });
    assert_eq!((told.0, &told.1["position"]), (503, &Value::from(0)));
    let advice = told.1["detail"].as_str().unwrap();
    assert!(advice.contains("position 1 is missing"), "{advice}");
    assert!(advice.contains("the next one that it has is 31"), "{advice}");
    assert!(advice.contains("order-service export --from-position 1"), "{advice}");
    assert!(late.log().contains("position 1 is missing"), "{}", late.log());
    late.stop();

    let file = directory.path().join("events");
    let export = Program::new(["export"]).argument("--data-dir", directory.path().join("primary")).run();
    assert_eq!(export.status, Some(0), "{:?}", export.stderr);
    fs::write(&file, export.stdout[..40].join("\n")).unwrap();
    for _ in 0..2 {
        let replica = replica(directory.path(), &nats.url()).argument("--from-file", &file).start();
        caught_up(&replica, &primary);
        assert_same(&primary, &replica);
        replica.stop();
    }
}

#[test]
fn a_history_that_begins_late_is_completed_by_publishing_it_again() {
    let nats = NatsServer::start(&NatsOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let running = primary(directory.path(), &nats.url()).start();
    fill(&running, 0..60);
    relayed(&running);
    purge(&nats, 31);
    let replica = replica(directory.path(), &nats.url()).start();
    wait_until("it is missing", || (readiness(&replica).1["state"] == "missing").then_some(()));
    running.stop();
    let again = Program::new(["republish", "--from-position", "1"])
        .argument("--bus", nats.url())
        .argument("--data-dir", directory.path().join("primary"))
        .run();
    assert_eq!(again.status, Some(0), "{:?}", again.stderr);
    let running = primary(directory.path(), &nats.url()).start();
    caught_up(&replica, &running);
    assert_same(&running, &replica);
}
