//! Messages that are none of this release's relay: of a newer release, of somebody else, of a damaged log.

use async_nats::HeaderMap;
use serde_json::{Value, json};
use test_servers::nats::{NatsOptions, NatsServer};

use super::{caught_up_at, primary, readiness, relayed, replica};
use crate::export::fill;
use crate::live_feed::Feed;
use crate::relays::nats::with_client;
use crate::server::{Server, wait_until};

/// A primary's events in a stream, to which more are added by hand.
struct Stream {
    nats: NatsServer,
    directory: tempfile::TempDir,
    /// All events, as the API shows them.
    events: Vec<Value>,
}

impl Stream {
    /// Orders `o0` to `o9`, of which those with an odd number have one event.
    fn new() -> Self {
        let nats = NatsServer::start(&NatsOptions::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let primary = primary(directory.path(), &nats.url()).start();
        fill(&primary, 0..10);
        relayed(&primary);
        let events = events_after(&primary, 0);
        primary.stop();
        Self { nats, directory, events }
    }

    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// The next event of the log, placing an order as the first of all does; but for a change.
    fn placed(&self, order: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut event = self.events[0].clone();
        let position = self.head() + 1;
        event["id"] = json!(format!("01990000-0000-7000-8000-{position:012}"));
        event["subject"] = json!(order);
        event["position"] = json!(position.to_string());
        change(&mut event);
        event
    }

    /// Adds a message that names the event before it.
    #[track_caller]
    fn publish(&mut self, event: Value) {
        let before = self.events.last().unwrap()["id"].as_str().unwrap().to_owned();
        self.publish_after(&before, event);
    }

    #[track_caller]
    fn publish_after(&mut self, before: &str, event: Value) {
        let mut headers = HeaderMap::new();
        for (name, value) in event.as_object().unwrap().iter().filter(|(name, _)| *name != "data") {
            headers.insert(format!("ce-{name}"), value.as_str().unwrap());
        }
        headers.insert("ce-previousid", before);
        let data = event["data"].to_string();
        let published = with_client(&format!("127.0.0.1:{}", self.nats.port()), |stream| async move {
            let text = |error: async_nats::jetstream::context::PublishError| error.to_string();
            let sent = stream.publish_with_headers("orders.by.hand", headers, data.into()).await;
            sent.map_err(text)?.await.map(drop).map_err(text)
        });
        assert_eq!(published, Ok(()));
        self.events.push(event);
    }

    fn replica(&self) -> Server {
        replica(self.directory.path(), &self.nats.url()).start()
    }
}

#[track_caller]
fn events_after(server: &Server, after: u64) -> Vec<Value> {
    server.get(&format!("/events?after={after}&limit=1000")).json().as_array().unwrap().clone()
}

/// The order is refused with this code, and all others are served.
#[track_caller]
fn assert_refused_alone(replica: &Server, orders: &[(&str, &str)]) {
    for (order, code) in orders {
        for path in ["", "?view=full"] {
            let refused = replica.get(&format!("/orders/{order}{path}"));
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (503, *code),
                "{order}: {}",
                refused.text()
            );
        }
    }
    let list = replica.get("/orders?limit=1000");
    assert_eq!(list.header("orders-left-out"), Some(orders.len().to_string().as_str()));
    for order in list.json().as_array().unwrap() {
        let order = order["OrderID"].as_str().unwrap();
        assert_eq!(replica.get(&format!("/orders/{order}")).status, 200, "{order}");
    }
    let (status, told) = readiness(replica);
    assert_eq!((status, &told["state"]), (200, &json!("following")), "{told}");
}

#[test]
fn attributes_that_this_release_does_not_know_are_in_the_replicas_answers() {
    let mut stream = Stream::new();
    let head = stream.head();
    let event = stream.placed("x1", |event| {
        event["source"] = json!("/another-shop");
        event["zone"] = json!("7");
    });
    stream.publish(event.clone());
    let replica = stream.replica();
    caught_up_at(&replica, stream.head());
    assert_eq!(events_after(&replica, head), std::slice::from_ref(&event));
    assert_eq!(replica.get("/orders/x1/events").json(), json!([event]));
    let fed = Feed::open(replica.port(), Some(head)).unwrap().next().unwrap();
    assert_eq!(fed, (head + 1, event));
    replica.stop();
}

#[test]
fn orders_of_a_newer_release_are_refused_alone() {
    let mut stream = Stream::new();
    // An order that is there goes on in a way that is not known here.
    stream.publish(stream.placed("o1", |event| {
        event["version"] = json!("2");
        event["type"] = json!("order.gift_wrapped.v1");
        event["data"] = json!({"paper": "red"});
    }));
    stream.publish(stream.placed("n1", |event| event["data"]["gift"] = json!(true)));
    stream.publish(stream.placed("n2", |_| {}));
    let replica = stream.replica();
    caught_up_at(&replica, stream.head());
    assert_refused_alone(&replica, &[("o1", "newer-release-needed"), ("n1", "newer-release-needed")]);
    assert_eq!(replica.get("/orders/n2").status, 200);
    assert_eq!(events_after(&replica, 0), stream.events, "the log has them all the same");
    replica.stop();
}

#[test]
fn orders_that_are_damaged_in_the_primarys_log_are_refused_alone() {
    let mut stream = Stream::new();
    let replica = stream.replica();
    caught_up_at(&replica, stream.head());
    stream.publish(stream.placed("o3", |event| event["data"]["customer_id"] = json!("another")));
    stream.publish(stream.placed("n1", |event| event["version"] = json!("4")));
    stream.publish(stream.placed("n2", |_| {}));
    caught_up_at(&replica, stream.head());
    assert_refused_alone(&replica, &[("o3", "corrupt"), ("n1", "corrupt")]);
    assert_eq!(replica.get("/orders/n2").status, 200);
    assert_eq!(events_after(&replica, 0), stream.events, "the log has them all the same");
    replica.stop();
}

#[test]
fn an_event_that_does_not_follow_on_the_replicas_last_one_is_not_applied() {
    let mut stream = Stream::new();
    let head = stream.head();
    let replica = stream.replica();
    caught_up_at(&replica, head);
    stream.publish_after("01990000-0000-7000-8000-000000000000", stream.placed("n1", |_| {}));
    let told = wait_until("it has noticed", || {
        let told = readiness(&replica).1;
        (told["state"] == "other_log").then_some(told)
    });
    assert_eq!(told["position"], head);
    let why = told["detail"].as_str().unwrap();
    let says = format!("at position {}: the event before the one there is 01990000-", head + 1);
    assert!(why.contains(&says) && why.contains("start with an empty store"), "{why}");
    assert_eq!(replica.get("/orders/n1").status, 404);
    replica.stop();
}
