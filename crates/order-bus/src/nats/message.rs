//! An event as a message, and back: a CloudEvent in binary mode.
//!
//! Subject: `orders.<event>.<order id>`. The event is its type without `order.` and without the version, so that
//! subscribers of `orders.placed.*` go on when an event changes its shape: they find the version in `ce-type`. What
//! would part a subject into more words is percent-encoded, as is the dot in an order's id (`%2E`).
//!
//! Headers follow the draft 1.0.3 of the CloudEvents binding for NATS, as it was in 2026
//! (<https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md>): every attribute is
//! `ce-` and its name, `datacontenttype` too, since a `Content-Type` tells the structured mode. Values are
//! percent-encoded as in the HTTP binding. `traceparent` and `tracestate` are there without `ce-`, too, and as they are: that
//! is where tracing libraries look for them.

use std::borrow::Cow;

use async_nats::header::IntoHeaderName;
use async_nats::{HeaderMap, HeaderName};
use order_application::cloud_event::{self, Attributes, PublishedEvent};
use order_application::{Position, RecordedEvent, traces};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

/// What headers with attributes begin with.
const PREFIX: &str = "ce-";
/// What is percent-encoded in a header's value, as in the HTTP binding.
const ENCODED_IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
/// What is percent-encoded in a word of a subject.
const ENCODED_IN_SUBJECTS: &AsciiSet = &CONTROLS.add(b' ').add(b'.').add(b'*').add(b'>').add(b'%');

/// The headers of an event's message, where `previous_id` is the id of the event before it in the log.
pub(super) fn headers(source: &str, event: &RecordedEvent, previous_id: Option<Uuid>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in cloud_event::attributes(source, event, previous_id) {
        let encoded = Cow::from(utf8_percent_encode(&value, ENCODED_IN_HEADERS));
        headers.insert(header_name(&name), &*encoded);
        if traces::is_header(&name, &value) {
            headers.insert(&*name, &*value);
        }
    }
    headers.insert(header_name("datacontenttype"), cloud_event::DATA_CONTENT_TYPE);
    headers
}

/// The subject of an event's message.
pub(super) fn subject(prefix: &str, event: &RecordedEvent) -> String {
    let word = |word| utf8_percent_encode(word, ENCODED_IN_SUBJECTS);
    format!("{prefix}.{}.{}", word(event_word(&event.event_type)), word(event.order_id.as_str()))
}

/// Reads an event.
pub(super) fn event(headers: Option<&HeaderMap>, data: &[u8]) -> Result<PublishedEvent, String> {
    let headers = headers.ok_or("it has no headers")?;
    let data = std::str::from_utf8(data).map_err(|_| "its data is not UTF-8")?;
    let mut attributes = Attributes::default();
    for (header, values) in headers.iter() {
        let header: &str = header.as_ref();
        let Some(name) = header.strip_prefix(PREFIX) else { continue };
        let Some(value) = values.first() else { continue };
        match percent_decode_str(value.as_str()).decode_utf8() {
            Ok(value) => attributes.add(name, value),
            Err(_) if known_header(name).is_some() => {
                return Err(format!("the header {header} cannot be decoded"));
            }
            // Whoever has added it does not keep to the binding, and it is not needed.
            Err(_) => {}
        }
    }
    cloud_event::read(attributes, data).map_err(|error| error.to_string())
}

/// The position of the event in a message with these headers.
pub(super) fn position(headers: &HeaderMap) -> Option<Position> {
    headers.get(header_name("position"))?.as_str().parse().ok().filter(|position| *position > 0).map(Position)
}

/// The id of the event in a message with these headers.
pub(super) fn id(headers: &HeaderMap) -> Option<Uuid> {
    headers.get(header_name("id")).and_then(|id| Uuid::try_parse(id.as_str()).ok())
}

/// The attributes that this service writes, and their headers, so that none has to be put together for each message.
static HEADERS: [(&str, HeaderName); 13] = [
    ("specversion", HeaderName::from_static("ce-specversion")),
    ("id", HeaderName::from_static("ce-id")),
    ("source", HeaderName::from_static("ce-source")),
    ("type", HeaderName::from_static("ce-type")),
    ("subject", HeaderName::from_static("ce-subject")),
    ("time", HeaderName::from_static("ce-time")),
    ("position", HeaderName::from_static("ce-position")),
    ("version", HeaderName::from_static("ce-version")),
    ("previousid", HeaderName::from_static("ce-previousid")),
    ("correlationid", HeaderName::from_static("ce-correlationid")),
    ("causationid", HeaderName::from_static("ce-causationid")),
    ("actor", HeaderName::from_static("ce-actor")),
    ("datacontenttype", HeaderName::from_static("ce-datacontenttype")),
];

fn known_header(attribute: &str) -> Option<&'static HeaderName> {
    HEADERS.iter().find(|(name, _)| *name == attribute).map(|(_, header)| header)
}

fn header_name(attribute: &str) -> HeaderName {
    known_header(attribute).cloned().unwrap_or_else(|| format!("{PREFIX}{attribute}").into_header_name())
}

/// The type without `order.` and `.v1`.
fn event_word(event_type: &str) -> &str {
    let name = event_type.strip_prefix("order.").unwrap_or(event_type);
    match name.rsplit_once(".v") {
        Some((name, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests;
