//! An event as a message, and back: a CloudEvent in binary mode.
//!
//! Subject: `orders.<event>.<order id>`. The event is its type without `order.` and without the version, so that
//! subscribers of `orders.placed.*` go on when an event changes its shape: they find the version in `ce-type`. What
//! would part a subject into more words is percent-encoded, as is the dot in an order's id (`%2E`).
//!
//! Headers follow the draft 1.0.3 of the CloudEvents binding for NATS, as it was in 2026
//! (<https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md>): every attribute is
//! `ce-` and its name, `datacontenttype` too, since a `Content-Type` tells the structured mode. Values are
//! percent-encoded as in the HTTP binding.
//!
//! `Nats-Msg-Id` is the event's id. What is published again although the stream may still know that id (its duplicate
//! window) has the publication's name after it: it is meant to come again.

use std::borrow::Cow;
use std::fmt::Write;

use async_nats::header::{
    IntoHeaderName, NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::{HeaderMap, HeaderName};
use order_application::cloud_event::{self, Attributes, PublishedEvent};
use order_application::{Position, RecordedEvent};
use uuid::Uuid;

use super::options::percent_decode;

/// What headers with attributes begin with.
const PREFIX: &str = "ce-";

/// Where in the stream a message belongs.
pub(super) struct Place<'a> {
    /// The message's own id.
    pub(super) id: &'a str,
    /// The stream's last sequence before it.
    pub(super) after_sequence: u64,
    /// The id of the stream's last message before it, where that is known.
    pub(super) after_id: Option<&'a str>,
}

/// The headers of an event's message, where `previous_id` is the id of the event before it in the log.
pub(super) fn headers(
    source: &str,
    event: &RecordedEvent,
    previous_id: Option<Uuid>,
    place: &Place<'_>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in cloud_event::attributes(source, event, previous_id) {
        headers.insert(header_name(&name), encode(value));
    }
    headers.insert(header_name("datacontenttype"), cloud_event::DATA_CONTENT_TYPE);
    headers.insert(NATS_MESSAGE_ID, place.id);
    headers.insert(NATS_EXPECTED_LAST_SEQUENCE, place.after_sequence.to_string());
    if let Some(id) = place.after_id {
        headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, id);
    }
    headers
}

/// The subject of an event's message.
pub(super) fn subject(prefix: &str, event: &RecordedEvent) -> String {
    let id = event.order_id.as_str();
    let mut subject = String::with_capacity(prefix.len() + event.event_type.len() + id.len() + 16);
    subject.push_str(prefix);
    for word in [event_word(&event.event_type), id] {
        subject.push('.');
        push_word(&mut subject, word);
    }
    subject
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
        match decode(value.as_str()) {
            Some(value) => attributes.add(name, value),
            None if NAMES.contains(&name) => return Err(format!("the header {header} cannot be decoded")),
            // Whoever has added it does not keep to the binding, and it is not needed.
            None => {}
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

macro_rules! attributes {
    ($($name:literal)*) => {
        /// The attributes that this service writes.
        const NAMES: &[&str] = &[$($name),*];

        fn header_name(attribute: &str) -> HeaderName {
            match attribute {
                $($name => const { HeaderName::from_static(concat!("ce-", $name)) },)*
                other => format!("{PREFIX}{other}").into_header_name(),
            }
        }
    };
}

attributes! {
    "specversion" "id" "source" "type" "subject" "time" "position" "version" "previousid" "correlationid" "causationid"
    "actor" "datacontenttype"
}

/// The type without `order.` and `.v1`.
fn event_word(event_type: &str) -> &str {
    let name = event_type.strip_prefix("order.").unwrap_or(event_type);
    match name.rsplit_once(".v") {
        Some((name, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => name,
    }
}

fn push_word(subject: &mut String, word: &str) {
    // An id has no `%` of its own.
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b".*>%".contains(byte);
    push_encoded(subject, word, is_plain);
}

fn encode(value: Cow<'_, str>) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"%".contains(byte);
    if value.as_bytes().iter().all(is_plain) {
        return value.into_owned();
    }
    let mut encoded = String::with_capacity(value.len() * 3);
    push_encoded(&mut encoded, &value, is_plain);
    encoded
}

fn push_encoded(out: &mut String, text: &str, is_plain: impl Fn(&u8) -> bool) {
    if text.as_bytes().iter().all(&is_plain) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if is_plain(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The binding wants double-quoted values read, too, which earlier drafts wrote.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let value = quoted.map_or(Cow::Borrowed(value), |inner| Cow::Owned(unescape(inner)));
    if value.contains('%') { percent_decode(&value).map(Cow::Owned) } else { Some(value) }
}

fn unescape(quoted: &str) -> String {
    let mut plain = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
