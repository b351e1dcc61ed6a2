//! An event as a message, in the binary mode of the
//! [Kafka protocol binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md):
//! attributes are headers with a prefix, the value is the data, and the key is what the message is partitioned by.
//! `traceparent` and `tracestate` are there without the prefix, too, since that is where tracing libraries look for them.

use std::borrow::Cow;

use order_application::cloud_event::{self, Attributes, DATA_CONTENT_TYPE, PublishedEvent};
use order_application::{Position, RecordedEvent, traces};
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use uuid::Uuid;

const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";
/// As many as an event has at most that belongs to no trace.
const HEADERS: usize = 13;

/// The headers of an event's message, where `previous_id` is the id of the event before it in the log.
pub(super) fn headers(source: &str, event: &RecordedEvent, previous_id: Option<Uuid>) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
    let mut key = PREFIX.to_owned();
    for (name, value) in cloud_event::attributes(source, event, previous_id) {
        key.truncate(PREFIX.len());
        key.push_str(&name);
        headers = headers.insert(Header { key: &key, value: Some(value.as_bytes()) });
        if traces::is_header(&name, &value) {
            headers = headers.insert(Header { key: &name, value: Some(value.as_bytes()) });
        }
    }
    headers.insert(Header { key: CONTENT_TYPE, value: Some(DATA_CONTENT_TYPE.as_bytes()) })
}

/// The event that a message is; else what is wrong with it.
pub(super) fn event<M: Message>(message: &M) -> Result<PublishedEvent, String> {
    let data = message.payload().ok_or("it has no value")?;
    let data = std::str::from_utf8(data).map_err(|_| "its value is not UTF-8")?;
    let mut found = Attributes::default();
    for (name, value) in attributes(message) {
        found.add(name, Cow::Borrowed(value));
    }
    cloud_event::read(found, data).map_err(|error| error.to_string())
}

/// The id of the event in a message.
pub(super) fn id<M: Message>(message: &M) -> Option<Uuid> {
    attribute(message, "id").and_then(|id| Uuid::try_parse(id).ok())
}

/// The position and the id of the event in a message, whoever has sent it. `None` if it is none.
pub(super) fn place_in_log<M: Message>(message: &M) -> Option<(Position, Uuid)> {
    let position = attribute(message, "position")?.parse().ok().filter(|position| *position > 0)?;
    Some((Position(position), id(message)?))
}

fn attribute<'a, M: Message>(message: &'a M, name: &str) -> Option<&'a str> {
    attributes(message).find(|(attribute, _)| *attribute == name).map(|(_, value)| value)
}

/// The attributes of a message that are UTF-8.
fn attributes<M: Message>(message: &M) -> impl Iterator<Item = (&str, &str)> {
    message.headers().into_iter().flat_map(Headers::iter).filter_map(|header| {
        let name = header.key.strip_prefix(PREFIX)?;
        Some((name, header.value.and_then(|value| std::str::from_utf8(value).ok())?))
    })
}
