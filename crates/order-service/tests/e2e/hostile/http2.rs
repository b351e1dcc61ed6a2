//! HTTP/2 with prior knowledge: many requests on one connection, and greetings that are followed by nonsense.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, Socket, Type};

use super::crowd::crowd;
use super::untaken::{LONG_ANSWER, place_a_long_order};
use super::{attack, frames, server};
use crate::server::Server;

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn connect(port: u16) -> Sender {
    connect_with_window(port, 64 * 1024).await
}

/// One that takes so many bytes of each answer until somebody reads it.
async fn connect_with_window(port: u16, bytes: usize) -> Sender {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(u32::try_from(bytes).unwrap());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn place(mut sender: Sender, number: usize) -> (u16, Bytes) {
    let body = format!(
        r#"{{"order_id":"o-{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
    );
    let request = Request::post("http://e2e/orders")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
}

#[test]
fn many_requests_on_one_http2_connection_are_answered() {
    attack(server(), |server| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sender = connect(server.port()).await;
            let placing: Vec<_> =
                (0..200).map(|number| tokio::spawn(place(sender.clone(), number))).collect();
            for (number, placed) in placing.into_iter().enumerate() {
                let (status, body) = placed.await.unwrap();
                assert_eq!((status, &*body), (201, format!(r#"{{"order_id":"o-{number}"}}"#).as_bytes()));
            }
        });
    });
}

#[test]
fn an_answer_that_is_not_taken_ends_alone_and_those_beside_it_go_on() {
    let server = server().argument("--idle-timeout-seconds", "1").start();
    place_a_long_order(&server);
    let whole = server.get(LONG_ANSWER).body.len();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // All of it but the end may be under way, so that nothing is left for the service to hand over.
    for window in [64 * 1024, whole - 1] {
        runtime.block_on(async {
            let mut sender = connect_with_window(server.port(), window).await;
            let request = Request::get(format!("http://e2e{LONG_ANSWER}")).body(Full::default()).unwrap();
            let untaken = sender.send_request(request).await.unwrap();
            let (begun, mut number) = (Instant::now(), 0);
            while begun.elapsed() < Duration::from_secs(4) {
                let order = window + number;
                assert_eq!(place(sender.clone(), order).await.0, 201, "after {:?}", begun.elapsed());
                number += 1;
            }
            untaken.into_body().collect().await.expect_err("nobody waits for it any more");
        });
    }
    server.stop();
}

#[test]
fn a_page_that_is_refused_ends_no_connection_that_leaves_nothing_lying() {
    let server = server().argument("--max-open-page-bytes", "1000").start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sender = connect(server.port()).await;
        assert_eq!(place(sender.clone(), 1).await.0, 201);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            assert_eq!(server.get("/orders?limit=1000").status, 503);
        }
        assert_eq!(place(sender, 2).await.0, 201);
    });
    server.stop();
}

#[test]
fn bodies_that_were_under_way_when_they_were_refused_end_no_connection() {
    let server = server().start();
    send_bodies_under_way(&server);
    server.stop();
}

#[test]
fn nor_do_they_where_others_have_most_of_the_room() {
    let server = server().argument("--max-answer-bytes", "16777216").start();
    let others = crowd(server.port(), 600, &[frames::PREFACE, &frames::settings()].concat());
    send_bodies_under_way(&server);
    drop(others);
    server.stop();
}

/// What a gateway sends for its many clients while the service refuses them.
fn send_bodies_under_way(server: &Server) {
    const AT_ONCE: u32 = 100;
    let mut gateway = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    gateway.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    gateway.write_all(&[frames::PREFACE, &frames::settings()].concat()).unwrap();
    for burst in 0..5 {
        let requests = burst * AT_ONCE..(burst + 1) * AT_ONCE;
        // They say nothing of a media type.
        gateway.write_all(&frames::begin_orders_with_known_fields(requests.clone(), 0)).unwrap();
        let refused = frames::take_answers(&mut gateway, AT_ONCE as usize);
        assert_eq!(refused, AT_ONCE as usize, "in burst {burst}");
        let bodies: Vec<u8> = requests.flat_map(|request| frames::body(request, 100)).collect();
        gateway.write_all(&bodies).unwrap();
        gateway.write_all(&frames::take(None, 32 * 1024)).unwrap();
    }
    gateway.write_all(&frames::get(5 * AT_ONCE, "/health")).unwrap();
    assert_eq!(frames::take_answers(&mut gateway, 1), 1, "it was hung up on");
}

#[test]
fn whoever_wants_no_more_gets_the_answers_to_all_that_it_has_asked() {
    const AT_ONCE: u32 = 95;
    let server = server().start();
    for number in 0..10 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // So that most answers stay where they come from until they are read.
        socket.set_recv_buffer_size(2 * 1024).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], server.port())).into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut requests = [frames::PREFACE, &frames::settings()].concat();
        requests.extend((0..AT_ONCE).flat_map(|request| frames::get(request, "/health")));
        requests.extend(frames::go_away());
        client.write_all(&requests).unwrap();
        // It goes on saying what may be sent, as if it took something.
        for _ in 0..2_000 {
            if client.write_all(&frames::take(None, 1)).is_err() {
                break;
            }
        }
        assert_eq!(frames::take_answers(&mut client, AT_ONCE as usize), AT_ONCE as usize, "of {number}");
    }
    server.stop();
}

#[test]
fn a_head_of_too_many_fields_is_refused() {
    let server = server().start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut sender = connect(server.port()).await;
        for (fields, status) in [(100, 200), (101, 431)] {
            let request = (0..fields)
                .fold(Request::get("http://e2e/health"), |request, n| request.header(format!("x-{n}"), ""));
            let response = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{fields} fields");
        }
    });
    server.stop();
}

#[test]
fn a_greeting_that_is_followed_by_nonsense_ends_the_connection() {
    attack(server(), |server| {
        for nonsense in [&b"GET / HTTP/1.1\r\n\r\n GET / HTTP/1.1"[..], &[0xff; 64], &[0; 64]] {
            let mut client = server.connect();
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
            client.send(nonsense).unwrap();
            // Frames, the last of which says goodbye; or a reset, since not all was read.
            let _ = client.rest();
        }
    });
}
