//! Following the log live, across restarts, without loss or repetition.

use std::io;

use serde_json::Value;

use crate::http::Client;
use crate::load::under_load;
use crate::server::{Program, wait_until};

/// A reader of server-sent events that comes back with what it saw last, as browsers do.
pub(crate) struct Feed {
    client: Client,
    text: String,
}

impl Feed {
    /// An error also if the feed is refused, as it is while the store is away.
    pub(crate) fn open(port: u16, last_event_id: Option<u64>) -> io::Result<Self> {
        let mut client = Client::connect(port)?;
        let resume = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request =
            format!("GET /events HTTP/1.1\r\nhost: e2e\r\naccept: text/event-stream\r\n{resume}\r\n");
        client.send(request.as_bytes())?;
        match client.head()?.0 {
            200 => Ok(Self { client, text: String::new() }),
            status => Err(io::Error::other(format!("a feed is answered {status}"))),
        }
    }

    /// For ending it from another thread.
    #[cfg(feature = "full-tests")]
    pub(crate) fn writing_end(&self) -> std::net::TcpStream {
        self.client.writing_end()
    }

    /// The next event, whole, by its id and data; an error when the connection has ended.
    pub(crate) fn next(&mut self) -> io::Result<(u64, Value)> {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let frame = frame.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                    let event: Value = serde_json::from_str(data).unwrap();
                    assert_eq!(field("event: "), None);
                    return Ok((id.parse().unwrap(), event));
                }
            }
            let chunk = self.client.chunk()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

/// Three lives of the server, ended by turns with `kill -9` and SIGTERM, under load: one reader sees every event once.
#[test]
fn a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen: Vec<Value> = Vec::new();
    for life in 0..3 {
        let server = Program::serving(directory.path()).start();
        let port = server.port();
        let last = (!seen.is_empty()).then_some(seen.len() as u64);
        let feed = Feed::open(port, last).unwrap();
        let reader = std::thread::spawn(move || read_to_the_end(feed));
        let (claims, _) = under_load(port, &format!("life-{life}"), |progress| {
            wait_until("there are events", || (progress.acknowledged() >= 300).then_some(()));
            if life % 2 == 0 { server.kill() } else { server.stop() }
        });
        assert!(claims.iter().all(|claim| claim.contradiction.is_none()), "{claims:?}");
        for (id, event) in reader.join().unwrap() {
            assert_eq!(id, seen.len() as u64 + 1, "life {life}");
            assert_eq!(event["position"], id.to_string());
            seen.push(event);
        }
    }
    let server = Program::serving(directory.path()).start();
    let mut log = Vec::new();
    loop {
        let page = server.get(&format!("/events?limit=1000&after={}", log.len())).json();
        let events = page.as_array().unwrap();
        if events.is_empty() {
            break;
        }
        log.extend_from_slice(events);
    }
    assert!(log.len() >= 900 && seen.len() > 300, "{} of {}", seen.len(), log.len());
    // What was committed and not sent before an end comes when the reader comes back.
    let mut feed = Feed::open(server.port(), Some(seen.len() as u64)).unwrap();
    while seen.len() < log.len() {
        seen.push(feed.next().unwrap().1);
    }
    assert!(seen == log, "the feed told otherwise than the log");
    server.stop();
}

fn read_to_the_end(mut feed: Feed) -> Vec<(u64, Value)> {
    std::iter::from_fn(|| feed.next().ok()).collect()
}

#[test]
fn an_event_arrives_while_its_command_is_hardly_answered() {
    let server = Program::serve().argument("--store", "memory:").start();
    let mut feed = Feed::open(server.port(), None).unwrap();
    for number in 1..=20 {
        let placement = format!(
            r#"{{"order_id":"o{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
        );
        assert_eq!(server.post("/orders", &placement).status, 201);
        let (id, event) = feed.next().unwrap();
        assert_eq!((id, event["subject"].as_str().unwrap()), (number, &*format!("o{number}")));
    }
    server.stop();
}
