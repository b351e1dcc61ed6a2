//! Server-sent events, as they are read.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

use anyhow::{Context, ensure};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Longest event that is read, in bytes: several times what the service writes.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// An event of a stream; one without data only says how far the service has looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerSentEvent {
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// A stream of them.
pub(crate) struct ServerSentEvents {
    body: Incoming,
    unread: Vec<u8>,
}

impl ServerSentEvents {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, unread: Vec::new() }
    }

    /// The next event; `None` when the service has ended the stream.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no such stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<ServerSentEvent>> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(Some(read(std::str::from_utf8(&event).context("it is no UTF-8")?)));
            }
            ensure!(self.unread.len() <= MAX_EVENT_BYTES, "an event does not end");
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.context("the connection broke")?.into_data() {
                self.unread.extend_from_slice(&data);
            }
        }
    }
}

/// The service ends lines with a line feed, and has a space behind each colon.
fn read(text: &str) -> ServerSentEvent {
    let mut event = ServerSentEvent::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "data" if event.data.is_empty() => value.clone_into(&mut event.data),
            "data" => event.data.extend(["\n", value]),
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_an_id_and_data_and_whatever_else_is_left_out() {
        let event = |id: Option<&str>, data: &str| ServerSentEvent {
            id: id.map(str::to_owned),
            data: data.to_owned(),
        };
        assert_eq!(read("id: 7\ndata: {\"a\":1}\n\n"), event(Some("7"), r#"{"a":1}"#));
        assert_eq!(read("id: 9\n\n"), event(Some("9"), ""));
        assert_eq!(read(": hello\nevent: order.placed.v1\ndata:a\ndata: b\n\n"), event(None, "a\nb"));
    }
}
