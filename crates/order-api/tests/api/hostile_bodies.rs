use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::{StreamExt, stream};
use order_api::ApiConfig;
use tower::ServiceExt;

use crate::harness::{Answer, Harness, order_body};

const COMMANDS: [&str; 4] =
    ["/orders", "/orders/ord-001/payment", "/orders/ord-001/reserve", "/orders/ord-001/ship"];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn send(h: &Harness, path: &str, body: impl Into<Body>) -> Answer {
    h.send(Method::POST, path, &JSON, body.into()).await
}

#[tokio::test]
async fn what_is_not_json_is_malformed_and_leaves_nothing_behind() {
    let h = Harness::with_order().await;
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    let many_keys: String = (0..20_000).map(|key| format!("\"k{key}\":0,")).collect();
    let malformed: Vec<Vec<u8>> = vec![
        b"".into(),
        b"{".into(),
        b"{]".into(),
        b"nul".into(),
        b"{} {}".into(),
        b"\xef\xbb\xbf{}".into(),
        b"{\"order_id\":\"\xff\"}".into(),
        b"{\"\xc3\x28\":1}".into(),
        b"{\"order_id\":\"a\0\"}".into(),
        b"\0".into(),
        br#"{"order_id":"\ud800"}"#.into(),
        br#"{"a":1,"a":1}"#.into(),
        br#"{"a":{"x":1,"\u0078":1}}"#.into(),
        br#"{"customer_id":"c","customer_id":"c"}"#.into(),
        br#"{"items":[{"Quantity":1e400}]}"#.into(),
        br#"{"unknown":1e400}"#.into(),
        "{'a':1}".into(),
        "{\"a\":01}".into(),
        "{\"a\":NaN}".into(),
        format!("{{{many_keys}\"k7\":0}}").into_bytes(),
        deep("["),
        deep("{\"a\":"),
        [deep("["), deep("]")].concat(),
    ];
    for path in COMMANDS {
        for body in &malformed {
            send(&h, path, body.clone()).await.refuses(400, "malformed-request");
        }
    }
    assert_eq!(h.event_count().await, 1);
    h.get("/orders").await.has("content-type", "application/json");
}

#[tokio::test]
async fn json_of_another_shape_has_faults_and_leaves_nothing_behind() {
    let h = Harness::with_order().await;
    for path in COMMANDS {
        for body in [
            "null",
            "[]",
            "{}",
            "\"x\"",
            "0",
            "18446744073709551616",
            r#"{"items":18446744073709551616}"#,
            r#"{"order_id":"\u0000","payment_id":"\u0000","reservation_id":"\n","tracking_number":"\u007f"}"#,
            r#"{"items":{"0":{}},"payment_id":[],"reservation_id":{},"tracking_number":false}"#,
        ] {
            send(&h, path, body).await.refuses(422, "validation-failed");
        }
    }
    assert_eq!(h.event_count().await, 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_read_to_its_end() {
    let h = Harness::new();
    let chunk = Bytes::from(vec![b' '; 64 * 1024]);
    for path in ["/orders", "/orders/ord-001/ship"] {
        // Announced, and not announced.
        send(&h, path, vec![b' '; 10 * 1024 * 1024]).await.refuses(413, "body-too-large");
        let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = std::sync::Arc::clone(&taken);
        let chunks = stream::iter(vec![chunk.clone(); 160]).map(move |chunk| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, Infallible>(chunk)
        });
        send(&h, path, Body::from_stream(chunks)).await.refuses(413, "body-too-large");
        // A client that still sends gets to read its answer.
        while taken.load(std::sync::atomic::Ordering::Relaxed) < 160 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_refused_before_it_sends() {
    let h = Harness::new();
    let asks = [("expect", "100-continue")];
    let unread = stream::repeat_with(|| -> Result<Bytes, Infallible> { panic!("the body was asked for") });
    h.send(Method::POST, "/orders", &asks, Body::from_stream(unread))
        .await
        .refuses(415, "unsupported-media-type");
}

#[tokio::test]
async fn a_body_without_end_is_not_read_for_ever() {
    let h = Harness::new();
    let chunk = Bytes::from(vec![b' '; 1024 * 1024]);
    let endless = stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone()));
    send(&h, "/orders", Body::from_stream(endless)).await.refuses(413, "body-too-large");
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_taken_however_it_is_cut() {
    let h = Harness::new();
    let mut body = order_body("o").into_bytes();
    body.resize(1024 * 1024, b' ');
    send(&h, "/orders", body.clone()).await.is(201, r#"{"order_id":"o"}"#);
    let bytes: Vec<_> =
        body.chunks(100_000).map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk))).collect();
    send(&h, "/orders", Body::from_stream(stream::iter(bytes))).await.is(201, r#"{"order_id":"o"}"#);
    body.push(b' ');
    send(&h, "/orders", body).await.refuses(413, "body-too-large");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let config = ApiConfig { body_timeout: Duration::from_secs(5), ..ApiConfig::default() };
    let h = Harness::with_config(config);
    let stalled = || {
        let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        Body::from_stream(begun.chain(stream::pending()))
    };
    let before = tokio::time::Instant::now();
    send(&h, "/orders", stalled()).await.refuses(408, "request-timeout");
    assert_eq!(before.elapsed().as_secs(), 5);
    // A refusal that did not need the body is not held back for long either.
    h.send(Method::POST, "/orders", &[], stalled()).await.refuses(415, "unsupported-media-type");
    h.send(Method::POST, "/nowhere", &[], stalled()).await.refuses(404, "not-found");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_behind() {
    let h = Harness::new();
    let body = order_body("o");
    let broken = stream::iter([Ok(Bytes::from(body)), Err(std::io::Error::other("reset"))]);
    send(&h, "/orders", Body::from_stream(broken)).await.refuses(400, "malformed-request");
    assert_eq!(h.event_count().await, 0);
}

#[tokio::test]
async fn a_body_is_announced_as_json() {
    let h = Harness::new();
    let with = async |headers: &[(&str, &str)]| {
        h.send(Method::POST, "/orders", headers, Body::from(order_body("o"))).await
    };
    for headers in [
        &[][..],
        &[("content-type", "")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonp")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
    ] {
        with(headers).await.refuses(415, "unsupported-media-type");
    }
    assert_eq!(h.event_count().await, 0);
    for content_type in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"] {
        with(&[("content-type", content_type)]).await.is(201, r#"{"order_id":"o"}"#);
    }
}

/// Bodies of which something has come, and of which more is awaited until the sender is dropped.
async fn unfinished(h: &Harness, count: usize, bytes: usize) -> Vec<tokio::task::JoinHandle<u16>> {
    let sending = (0..count).map(|_| {
        let router = h.router.clone();
        let begun = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b' '; bytes]))]);
        let request = Request::post("/orders")
            .header(JSON[0].0, JSON[0].1)
            .body(Body::from_stream(begun.chain(stream::pending())))
            .unwrap();
        tokio::spawn(async move { router.oneshot(request).await.unwrap().status().as_u16() })
    });
    let sending = sending.collect();
    // Until each has come as far as it does.
    for _ in 0..count + 1 {
        tokio::task::yield_now().await;
    }
    sending
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_what_all_may_take_together_is_refused_at_once() {
    let h = Harness::with_config(ApiConfig { max_open_body_bytes: 1_000_000, ..ApiConfig::default() });
    let mut large = order_body("large").into_bytes();
    large.resize(100_000, b' ');
    let announced = || Body::from(large.clone());
    let in_pieces = || {
        let pieces: Vec<_> =
            large.chunks(20_000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        Body::from_stream(stream::iter(pieces))
    };
    let unfinished = unfinished(&h, 8, 100_000).await;
    assert!(unfinished.iter().all(|one| !one.is_finished()));
    let before = tokio::time::Instant::now();
    for body in [announced(), in_pieces()] {
        send(&h, "/orders", body).await.refuses(503, "overloaded").has("retry-after", "1");
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(h.event_count().await, 0);
    // A small one that comes in pieces is not kept out by large ones.
    let pieces: Vec<_> = order_body("small").into_bytes().chunks(10).map(Bytes::copy_from_slice).collect();
    let small = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    send(&h, "/orders", small).await.is(201, r#"{"order_id":"small"}"#);
    // What a client has taken is there again when it is gone.
    unfinished[0].abort();
    tokio::task::yield_now().await;
    send(&h, "/orders", in_pieces()).await.is(201, r#"{"order_id":"large"}"#);
    send(&h, "/orders", announced()).await.is(201, r#"{"order_id":"large"}"#);
    for one in unfinished.into_iter().skip(1) {
        assert_eq!(one.await.unwrap(), 408);
    }
}

#[tokio::test]
async fn small_bodies_have_bounds_as_well() {
    let h = Harness::with_config(ApiConfig { max_open_body_bytes: 100_000, ..ApiConfig::default() });
    let unfinished = unfinished(&h, 20, 10_000).await;
    let refused = unfinished.iter().filter(|one| one.is_finished()).count();
    assert_eq!(refused, 10);
    // One that comes at once needs no room.
    h.place("o").await;
}

#[tokio::test]
async fn a_body_lets_go_of_its_room_when_it_was_read() {
    let h = Harness::with_config(ApiConfig { max_open_body_bytes: 200_000, ..ApiConfig::default() });
    for number in 0..10 {
        let mut body = order_body(&format!("o-{number}")).into_bytes();
        body.resize(150_000, b' ');
        let pieces: Vec<_> =
            body.chunks(50_000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        assert_eq!(send(&h, "/orders", Body::from_stream(stream::iter(pieces))).await.status, 201);
    }
}
