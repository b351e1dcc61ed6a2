use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Method;
use futures_util::StreamExt;
use order_api::ApiConfig;

use crate::harness::Harness;

/// A client that reads whole frames.
struct Client {
    stream: BodyDataStream,
    buffer: String,
    /// Where the feed said that it begins.
    begins: String,
}

impl Client {
    async fn connect(h: &Harness, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("accept", "text/event-stream")];
        all.extend(headers);
        let response = h.start(Method::GET, path, &all, Body::empty()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let stream = response.into_body().into_data_stream();
        let mut client = Self { stream, buffer: String::new(), begins: String::new() };
        // At once, so that a quiet feed opens as well.
        client.begins = client.frame().await.unwrap();
        client
    }

    /// The next frame, without its empty line; `None` at the end of the feed.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let frame = frame.to_owned();
                self.buffer = rest.to_owned();
                return Some(frame);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.stream.next()).await;
            let chunk = chunk.expect("a frame comes in time")?.expect("the feed does not break");
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let frame = self.frame().await.expect("the feed goes on");
            let (id, data) = frame.split_once('\n').expect(&frame);
            assert!(data.starts_with("data: {") && !data.contains('\n'), "{frame}");
            ids.push(id.strip_prefix("id: ").expect(&frame).to_owned());
        }
        ids
    }
}

#[tokio::test]
async fn a_feed_gives_what_was_and_then_what_comes() {
    let h = Harness::with_order().await;
    let mut client = Client::connect(&h, "/events", &[]).await;
    let event = h.get("/events").await;
    let event = event.text().strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    assert_eq!(client.begins, "id: 0");
    assert_eq!(client.frame().await.unwrap(), format!("id: 1\ndata: {event}"));
    h.place("b").await;
    h.place("c").await;
    assert_eq!(client.ids(2).await, ["2", "3"]);
}

#[tokio::test]
async fn a_feed_resumes_without_loss_or_repetition() {
    let h = Harness::new();
    for id in ["a", "b", "c", "d"] {
        h.place(id).await;
    }
    assert_eq!(Client::connect(&h, "/events?after=2", &[]).await.ids(2).await, ["3", "4"]);
    let mut resumed = Client::connect(&h, "/events?after=0", &[("last-event-id", "3")]).await;
    assert_eq!(resumed.ids(1).await, ["4"]);
    h.place("e").await;
    assert_eq!(resumed.ids(1).await, ["5"]);
    let mut unset = Client::connect(&h, "/events?after=4", &[("last-event-id", "")]).await;
    assert_eq!(unset.begins, "id: 4");
    assert_eq!(unset.ids(1).await, ["5"]);
    for id in ["x", "-1", "1.0", "+1", " ", "0x1"] {
        h.get_with("/events", &[("accept", "text/event-stream"), ("last-event-id", id)])
            .await
            .has_faults(&["Last-Event-ID"]);
    }
}

#[tokio::test]
async fn a_feed_is_filtered() {
    let h = Harness::new();
    h.place("a").await;
    h.place("b").await;
    let mut by_order = Client::connect(&h, "/events?order_id=b", &[]).await;
    let mut by_type = Client::connect(&h, "/events?type=order.payment_authorized.v1", &[]).await;
    h.post("/orders/a/payment", r#"{"payment_id":"p"}"#).await;
    h.post("/orders/b/payment", r#"{"payment_id":"p"}"#).await;
    assert_eq!(by_order.ids(2).await, ["2", "4"]);
    assert_eq!(by_type.ids(2).await, ["3", "4"]);
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let h = Harness::new();
    let mut client = Client::connect(&h, "/events", &[]).await;
    h.place("first").await;
    assert_eq!(client.ids(1).await, ["1"]);
    // More than the bus keeps for it.
    for id in 0..600 {
        h.place(&format!("o{id}")).await;
    }
    let expected: Vec<_> = (2..=601).map(|id| id.to_string()).collect();
    assert_eq!(client.ids(600).await, expected);
}

#[tokio::test]
async fn types_are_named_to_those_who_listen_by_name() {
    let h = Harness::with_order().await;
    let event = h.get("/events").await;
    let event = event.text().strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    let mut named = Client::connect(&h, "/events?event_names=true", &[]).await;
    assert_eq!(named.frame().await.unwrap(), format!("id: 1\nevent: order.placed.v1\ndata: {event}"));
    let mut unnamed = Client::connect(&h, "/events?event_names=false", &[]).await;
    assert_eq!(unnamed.frame().await.unwrap(), format!("id: 1\ndata: {event}"));
    for query in ["event_names=yes", "event_names=", "event_names=True", "event_names=true&event_names=true"]
    {
        h.get_with(&format!("/events?{query}"), &[("accept", "text/event-stream")])
            .await
            .has_faults(&["event_names"]);
    }
}

/// So a feed whose filter lets nothing through resumes where it was, and not where it began.
#[tokio::test(start_paused = true)]
async fn every_fifteen_seconds_a_feed_says_how_far_it_has_looked() {
    let h = Harness::new();
    let mut client = Client::connect(&h, "/events?order_id=nobody", &[]).await;
    assert_eq!(client.begins, "id: 0");
    for position in 1..=3 {
        let before = tokio::time::Instant::now();
        h.place(&format!("somebody-{position}")).await;
        assert_eq!(client.frame().await.unwrap(), format!("id: {position}"));
        assert_eq!(before.elapsed().as_secs_f64().round(), 15.0);
    }
    let mut resumed = Client::connect(&h, "/events?order_id=nobody", &[("last-event-id", "3")]).await;
    assert_eq!(resumed.begins, "id: 3");
    h.place("nobody").await;
    assert_eq!(resumed.ids(1).await, ["4"]);
}

#[tokio::test(start_paused = true)]
async fn how_often_a_feed_says_so_is_configured() {
    let config = ApiConfig { feed_heartbeat: Duration::from_millis(1), ..ApiConfig::default() };
    let h = Harness::with_config(config);
    let before = tokio::time::Instant::now();
    assert_eq!(Client::connect(&h, "/events", &[]).await.frame().await.unwrap(), "id: 0");
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_feed_from_beyond_the_end_of_the_log_is_refused() {
    let h = Harness::with_order().await;
    for (query, id) in
        [("?after=2", ""), ("", "2"), ("?after=0", "18446744073709551616"), ("?type=a.v1", "9")]
    {
        let headers = [("accept", "text/event-stream"), ("last-event-id", id)];
        let answer = h.get_with(&format!("/events{query}"), &headers).await.refuses(409, "position-ahead");
        assert_eq!(answer.json()["last_position"], 1);
    }
    let at_the_end = Client::connect(&h, "/events?after=99", &[("last-event-id", "1")]).await;
    assert_eq!(at_the_end.begins, "id: 1");
}

#[tokio::test]
async fn there_are_so_many_feeds_at_once_and_no_more() {
    let h = Harness::with_config(ApiConfig { max_feeds: 2, ..ApiConfig::default() });
    let feed = [("accept", "text/event-stream")];
    let first = Client::connect(&h, "/events", &[]).await;
    // One that is refused takes no place.
    h.get_with("/events?after=9", &feed).await.refuses(409, "position-ahead");
    let _second = Client::connect(&h, "/events", &[]).await;
    h.get_with("/events", &feed).await.refuses(503, "overloaded").has("retry-after", "1");
    h.get("/events").await.is(200, "[]");
    drop(first);
    let mut third = Client::connect(&h, "/events", &[]).await;
    h.place("a").await;
    assert_eq!(third.ids(1).await, ["1"]);
}

#[tokio::test]
async fn feeds_end_when_the_service_stops() {
    let h = Harness::with_order().await;
    let mut client = Client::connect(&h, "/events", &[]).await;
    assert_eq!(client.ids(1).await, ["1"]);
    h.shutdown.cancel();
    assert_eq!(client.frame().await, None);
}

#[tokio::test]
async fn only_who_asks_for_a_feed_gets_one() {
    let h = Harness::new();
    for accept in [
        "*/*",
        "application/json",
        "text/*",
        "text/event-stream;q=0, application/json",
        "text/event-stream;q=0.0",
        "text/event-stream; charset=utf-8 ; Q=0.000",
    ] {
        h.get_with("/events", &[("accept", accept)]).await.is(200, "[]");
    }
    for accept in [
        "application/json, Text/Event-Stream;q=0.5",
        "text/event-stream;q=0.001",
        "text/event-stream; charset=utf-8",
    ] {
        let response = h.start(Method::GET, "/events", &[("accept", accept)], Body::empty()).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream", "{accept}");
    }
}
