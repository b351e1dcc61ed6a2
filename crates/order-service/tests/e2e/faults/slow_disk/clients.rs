//! Thousands of clients that place one order after the other, and write down what they heard.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::http::post;

pub(super) const CLIENTS: u32 = 6_000;
/// From one answer to the next order of a client: longer than it is told to wait, so that this measures how the service waits
/// for its disk, and not how clients and service wait for processors.
pub(super) const PAUSE: Duration = Duration::from_secs(4);
/// What a refused client is told.
const RETRY_AFTER: &str = "\r\nretry-after: 1\r\n";
/// Nothing that a test waits for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of one order.
pub(super) struct Heard {
    pub(super) order_id: String,
    pub(super) asked: Instant,
    pub(super) answered: Instant,
    /// Otherwise it was refused as overloaded.
    pub(super) accepted: bool,
}

#[derive(Default)]
struct Notes {
    heard: Mutex<Vec<Heard>>,
    over: AtomicBool,
}

/// Has all clients at work until some have been refused, and then none for so long. Also answers with the longest that a
/// probe waited, which has nothing to do with the disk: that is for the processors, which tests may share with others.
pub(super) fn under_pressure(port: u16, calm: Duration) -> (Vec<Heard>, Duration) {
    let notes = Arc::new(Notes::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let slowest_probe = runtime.block_on(async {
        let probe = tokio::spawn(probe(port, Arc::clone(&notes)));
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| tokio::spawn(place_orders(port, number, Arc::clone(&notes)))).collect();
        let begun = Instant::now();
        while !notes.is_calm_again(calm) {
            assert!(begun.elapsed() < PATIENCE, "nobody was refused, or it never ended");
            sleep(Duration::from_millis(100)).await;
        }
        notes.over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        probe.await.unwrap()
    });
    (std::mem::take(&mut notes.heard.lock().unwrap()), slowest_probe)
}

async fn probe(port: u16, notes: Arc<Notes>) -> Duration {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let mut slowest = Duration::ZERO;
    while !notes.over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: e2e\r\n\r\n").await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        slowest = slowest.max(asked.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    slowest
}

impl Notes {
    fn is_calm_again(&self, calm: Duration) -> bool {
        let heard = self.heard.lock().unwrap();
        let refused = heard.iter().filter(|heard| !heard.accepted);
        refused.map(|heard| heard.answered).max().is_some_and(|last| last.elapsed() > calm)
    }
}

async fn place_orders(port: u16, number: u32, notes: Arc<Notes>) {
    // One after the other, as people come.
    sleep(PAUSE / CLIENTS * number).await;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let mut turn = 0;
    while !notes.over.load(Ordering::Relaxed) {
        let order_id = format!("{number}-{turn}");
        let asked = Instant::now();
        let accepted = place(&mut stream, &order_id).await;
        let answered = Instant::now();
        notes.heard.lock().unwrap().push(Heard { order_id, asked, answered, accepted });
        sleep(PAUSE).await;
        turn += 1;
    }
}

/// Whether it was accepted.
async fn place(stream: &mut TcpStream, order_id: &str) -> bool {
    let order = format!(
        r#"{{"order_id":"{order_id}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
    );
    stream.write_all(post("/orders", &order).as_bytes()).await.unwrap();
    let answer = read_answer(stream).await;
    if answer.starts_with("HTTP/1.1 201 ") {
        return true;
    }
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""code":"overloaded""#), "{answer}");
    assert!(answer.contains(RETRY_AFTER), "{answer}");
    false
}

/// A whole answer, with its body.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let read = stream.read_buf(&mut answer).await.unwrap();
        let text = std::str::from_utf8(&answer).unwrap();
        assert!(read > 0, "the connection ended early: {text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return text.to_owned();
        }
    }
}
