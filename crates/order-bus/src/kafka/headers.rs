//! An event as a message, in the binary mode of the
//! [Kafka protocol binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md):
//! attributes are headers with a prefix, the value is the data, and the key is what the message is partitioned by.

use std::borrow::Cow;

use order_application::RecordedEvent;
use order_application::cloud_event::{self, DATA_CONTENT_TYPE};
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};

const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";
/// As many as an event has at most.
const HEADERS: usize = 12;

/// Attributes with their headers, so that none has to be put together for each message.
const NAMES: [(&str, &str); 11] = [
    ("specversion", "ce_specversion"),
    ("id", "ce_id"),
    ("source", "ce_source"),
    ("type", "ce_type"),
    ("subject", "ce_subject"),
    ("time", "ce_time"),
    ("position", "ce_position"),
    ("version", "ce_version"),
    ("correlationid", "ce_correlationid"),
    ("causationid", "ce_causationid"),
    ("actor", "ce_actor"),
];

pub(super) fn headers(source: &str, event: &RecordedEvent) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
    // They come in the order of the names, though not all of them.
    let mut names = NAMES.iter();
    for (name, value) in cloud_event::attributes(source, event) {
        let known = names.find(|(attribute, _)| *attribute == name);
        let key = known.map_or_else(|| Cow::Owned(format!("{PREFIX}{name}")), |(_, key)| Cow::Borrowed(*key));
        headers = headers.insert(Header { key: &key, value: Some(value.as_bytes()) });
    }
    headers.insert(Header { key: CONTENT_TYPE, value: Some(DATA_CONTENT_TYPE.as_bytes()) })
}

/// The attributes of a message that are UTF-8.
pub(super) struct Attributes<'a>([(&'static str, Option<&'a str>); NAMES.len()]);

impl<'a> Attributes<'a> {
    pub(super) fn of<M: Message>(message: &'a M) -> Self {
        let mut found = NAMES.map(|(attribute, _)| (attribute, None));
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            let Some(index) = NAMES.iter().position(|(_, key)| *key == header.key) else { continue };
            found[index].1 = header.value.and_then(|value| std::str::from_utf8(value).ok());
        }
        Self(found)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(attribute, _)| *attribute == name).and_then(|(_, value)| *value)
    }
}

/// The event that a message is; else what is wrong with it.
pub(super) fn event<M: Message>(message: &M) -> Result<RecordedEvent, String> {
    let attributes = Attributes::of(message);
    let data = message.payload().ok_or("it has no value")?;
    let data = std::str::from_utf8(data).map_err(|_| "its value is not UTF-8")?;
    cloud_event::read(|name| attributes.get(name).map(Cow::Borrowed), data).map_err(|error| error.to_string())
}
