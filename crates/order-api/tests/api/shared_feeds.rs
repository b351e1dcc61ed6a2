//! Many feeds of one log: what they share, and that nobody is given less, or twice, or in another order for it.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::Method;
use futures_util::{FutureExt, StreamExt};
use order_api::ApiConfig;
use tokio::time::Instant;

use crate::harness::Harness;

/// More than so many feeds take turns.
const MANY: usize = 200;

/// A client that sees what its connection is handed.
struct Reader(BodyDataStream);

impl Reader {
    async fn connect(h: &Harness, query: &str) -> Self {
        let headers = [("accept", "text/event-stream")];
        let response = h.start(Method::GET, &format!("/events{query}"), &headers, Body::empty()).await;
        assert_eq!(response.status(), 200);
        let mut reader = Self(response.into_body().into_data_stream());
        // Where it begins.
        reader.chunk().await;
        reader
    }

    async fn chunk(&mut self) -> Bytes {
        let chunk = tokio::time::timeout(Duration::from_secs(60), self.0.next()).await;
        chunk.expect("it comes in time").expect("the feed goes on").expect("the feed does not break")
    }

    /// The next whole frames, until the one of a position.
    async fn text_up_to(&mut self, position: usize) -> String {
        let (last, mut text) = (format!("id: {position}\ndata: "), String::new());
        while !text.contains(&last) {
            text.push_str(std::str::from_utf8(&self.chunk().await).unwrap());
        }
        text
    }
}

fn positions(frames: &str) -> Vec<usize> {
    let ids = frames.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().unwrap()).collect()
}

async fn place_all(h: &Harness, numbers: std::ops::Range<usize>) {
    for number in numbers {
        h.place(&format!("o-{number}")).await;
    }
}

#[tokio::test]
async fn feeds_at_the_same_place_with_the_same_options_share_their_frames() {
    let h = Harness::new();
    place_all(&h, 0..3).await;
    for query in ["?after=0", "?after=0&type=order.placed.v1", "?after=0&event_names=true"] {
        let (mut one, mut other) = (Reader::connect(&h, query).await, Reader::connect(&h, query).await);
        let [first, again] = [one.chunk().await, other.chunk().await];
        assert_eq!(first.as_ptr_range(), again.as_ptr_range(), "what was, {query}");
        h.place(&format!("new-{}", query.len())).await;
        let [first, again] = [one.chunk().await, other.chunk().await];
        assert_eq!(first.as_ptr_range(), again.as_ptr_range(), "what comes, {query}");
    }
    let types = ["order.placed.v1", "order.shipped.v1"];
    let of_types = |[one, other]: [&str; 2]| format!("?after=0&type={one}&type={other}&type={one}");
    let mut one = Reader::connect(&h, &of_types(types)).await;
    let mut other = Reader::connect(&h, &of_types([types[1], types[0]])).await;
    assert_eq!(one.chunk().await.as_ptr_range(), other.chunk().await.as_ptr_range(), "in whichever order");
    let mut unnamed = Reader::connect(&h, "?after=0").await;
    let mut named = Reader::connect(&h, "?after=0&event_names=true").await;
    assert_ne!(unnamed.chunk().await, named.chunk().await);
}

#[tokio::test]
async fn feeds_that_began_at_different_places_come_to_share_their_frames() {
    let h = Harness::new();
    place_all(&h, 0..300).await;
    let (mut one, mut other) =
        (Reader::connect(&h, "?after=3").await, Reader::connect(&h, "?after=77").await);
    let (first, behind) = (one.chunk().await, other.chunk().await);
    assert!(first.ends_with(&behind) && first.len() > behind.len());
    assert_eq!(one.chunk().await.as_ptr_range(), other.chunk().await.as_ptr_range());
}

#[tokio::test]
async fn a_slow_feed_and_a_fast_one_get_the_same_events() {
    // However long it takes, nothing comes but events.
    let feed_heartbeat = Duration::from_secs(3_600);
    let h = Harness::with_config(ApiConfig { feed_heartbeat, ..ApiConfig::default() });
    let mut slow = Reader::connect(&h, "").await;
    let mut fast = Reader::connect(&h, "").await;
    // More than is kept for those who are a little behind.
    let mut read_fast = String::new();
    for number in 1..=1_000 {
        h.place(&format!("o-{number}")).await;
        read_fast += &fast.text_up_to(number).await;
    }
    let read_slow = slow.text_up_to(1_000).await;
    assert_eq!(positions(&read_fast), (1..=1_000).collect::<Vec<_>>());
    assert!(read_fast == read_slow, "they differ");
    // And both go on.
    h.place("last").await;
    assert_eq!(fast.chunk().await, slow.chunk().await);
}

#[tokio::test]
async fn a_feed_goes_on_from_wherever_it_was() {
    let h = Harness::new();
    // A feed that is open all the time, so that what is resumed from is the end of the log that feeds share.
    let mut whole = Reader::connect(&h, "").await;
    place_all(&h, 0..40).await;
    let text = whole.text_up_to(40).await;
    for after in 0..40 {
        let mut resumed = Reader::connect(&h, &format!("?after={after}")).await;
        let resumed = resumed.text_up_to(40).await;
        assert_eq!(positions(&resumed), (after + 1..=40).collect::<Vec<_>>());
        assert!(text.ends_with(&resumed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_feed_is_given_each_event_at_once() {
    let h = Harness::new();
    let mut lone = Reader::connect(&h, "").await;
    let begun = Instant::now();
    for number in 1..=20 {
        h.place(&format!("o-{number}")).await;
        assert_eq!(positions(std::str::from_utf8(&lone.chunk().await).unwrap()), [number]);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn many_feeds_are_given_events_together_and_soon() {
    let h = Harness::new();
    let mut feeds = Vec::new();
    for _ in 0..MANY {
        feeds.push(Reader::connect(&h, "").await);
    }
    place_all(&h, 0..1).await;
    for feed in &mut feeds {
        assert_eq!(positions(std::str::from_utf8(&feed.chunk().await).unwrap()), [1]);
    }
    let begun = Instant::now();
    place_all(&h, 1..30).await;
    for feed in &mut feeds {
        assert_eq!(
            positions(std::str::from_utf8(&feed.chunk().await).unwrap()),
            (2..=30).collect::<Vec<_>>()
        );
    }
    assert!(begun.elapsed() <= Duration::from_millis(20), "{:?}", begun.elapsed());
}

/// Feeds that all have something to send are woken a few at a time: a request does not wait for all of them.
#[tokio::test]
async fn a_request_gets_in_between_feeds() {
    let h = Harness::new();
    let mut feeds = Vec::new();
    for _ in 0..MANY {
        feeds.push(Reader::connect(&h, "").await);
    }
    place_all(&h, 0..1).await;
    let ready =
        |feeds: &mut Vec<Reader>| feeds.iter_mut().filter_map(|feed| feed.0.next().now_or_never()).count();
    // Until the first of them have their turn.
    let mut served = 0;
    while served == 0 {
        tokio::task::yield_now().await;
        served = ready(&mut feeds);
    }
    assert!(served < MANY / 4, "{served} were woken at once");
    let begun = Instant::now();
    while served < MANY {
        tokio::task::yield_now().await;
        served += ready(&mut feeds);
        assert!(begun.elapsed() < Duration::from_secs(60), "only {served} were served");
    }
}

#[tokio::test]
async fn feeds_begin_again_after_all_of_them_were_gone() {
    let h = Harness::new();
    for number in 1..=3 {
        let mut feed = Reader::connect(&h, "").await;
        h.place(&format!("o-{number}")).await;
        assert_eq!(positions(&feed.text_up_to(number).await), (1..=number).collect::<Vec<_>>());
    }
}
