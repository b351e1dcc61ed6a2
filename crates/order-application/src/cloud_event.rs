//! Events as CloudEvents 1.0 (<https://github.com/cloudevents/spec>), written and read back: as JSON (the JSON event
//! format), and as named attributes beside the bare data (the binary mode of message protocols).
//!
//! `position` and `version` are extensions, as decimal strings, since an integer of a CloudEvent has 32 bits. Messages to
//! brokers and the lines of an export also have `previousid`, the id of the event at the position before: who reads them can
//! tell that they continue the log that it has read so far.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use order_domain::OrderId;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::codec::intern_type;
use crate::event::{Position, RecordedEvent, Version};
use crate::event_context::{CORRELATION_ID, EventContext, is_extension_name};
use crate::json_text::push_string;
use crate::rfc3339;

/// Bytes of an envelope without its data, about.
pub const ENVELOPE_BYTES: usize = 512;
/// What `data` is.
pub const DATA_CONTENT_TYPE: &str = "application/json";

const SPEC_VERSION: &str = "1.0";
const PREVIOUS_ID: &str = "previousid";

/// Writes one envelope as JSON. `source` is a JSON string, quotes included, for events without one of their own; the
/// stored data and context go in as they are.
pub fn write(out: &mut String, source: &str, event: &RecordedEvent) {
    write_published(out, source, event, None);
}

/// The same for whoever goes through the log: `previous_id` is the id of the event at the position before.
pub fn write_published(out: &mut String, source: &str, event: &RecordedEvent, previous_id: Option<Uuid>) {
    // Writing to a String cannot fail.
    let _ = write!(out, r#"{{"specversion":"{SPEC_VERSION}","id":"{}","source":"#, event.id);
    match &event.source {
        Some(source) => push_string(out, source),
        None => out.push_str(source),
    }
    let _ = write!(
        out,
        r#","type":"{}","subject":"{}","time":"{}","datacontenttype":"{DATA_CONTENT_TYPE}","position":"{}","version":"{}""#,
        event.event_type,
        event.order_id,
        rfc3339::format(event.time),
        event.position,
        event.version,
    );
    if let Some(previous_id) = previous_id {
        let _ = write!(out, r#","{PREVIOUS_ID}":"{previous_id}""#);
    }
    let extensions = event.context.members_json();
    if !extensions.is_empty() {
        out.push(',');
        out.push_str(extensions);
    }
    out.push_str(",\"data\":");
    out.push_str(&event.data);
    out.push('}');
}

/// An event as a message or the line of a file brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// The event.
    pub event: RecordedEvent,
    /// The id of the event at the position before it in the log. `None` at the first position, and where whoever published
    /// it has not told.
    pub previous_id: Option<Uuid>,
}

/// The attributes of an event as a message has them, all but its data's content type, which protocols have a place of their
/// own for. `source` is for events without one of their own, `previous_id` that of the event at the position before.
pub fn attributes<'a>(
    source: &'a str,
    event: &'a RecordedEvent,
    previous_id: Option<Uuid>,
) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
    let of_every_event: [(Cow<'a, str>, Cow<'a, str>); 8] = [
        ("specversion", SPEC_VERSION.into()),
        ("id", event.id.to_string().into()),
        ("source", event.source.as_deref().unwrap_or(source).into()),
        ("type", (&*event.event_type).into()),
        ("subject", event.order_id.as_str().into()),
        ("time", rfc3339::format(event.time).into()),
        ("position", event.position.to_string().into()),
        ("version", event.version.to_string().into()),
    ]
    .map(|(name, value)| (Cow::Borrowed(name), value));
    let previous = previous_id.map(|id| (Cow::Borrowed(PREVIOUS_ID), Cow::Owned(id.to_string())));
    of_every_event.into_iter().chain(previous).chain(event.context.members())
}

/// What is wrong with a message that should be one of this service's events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudEventError {
    /// An attribute is not there.
    #[error("the attribute {0} is missing")]
    Missing(&'static str),
    /// An attribute cannot be what it says.
    #[error("the attribute {name} cannot be {value:?}")]
    Unreadable {
        /// Which.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// It is not JSON, or not a CloudEvent as JSON.
    #[error("not a CloudEvent as JSON: {0}")]
    NotJson(String),
}

/// Attributes that are no extensions, and that nothing is done with.
const PASSED_OVER: [&str; 4] = ["datacontenttype", "dataschema", "data", "data_base64"];

/// The attributes of a message, as they are found in it.
#[derive(Debug, Default)]
pub struct Attributes<'a>(BTreeMap<&'a str, Cow<'a, str>>);

impl<'a> Attributes<'a> {
    /// Takes an attribute; each may come once. What CloudEvents do not allow as a name is passed over.
    pub fn add(&mut self, name: &'a str, value: Cow<'a, str>) {
        if is_extension_name(name) && !PASSED_OVER.contains(&name) {
            self.0.insert(name, value);
        }
    }

    /// Takes one out that has to be there, and reads it.
    fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, CloudEventError> {
        let value = self.0.remove(name).ok_or(CloudEventError::Missing(name))?;
        read(&value)
            .ok_or_else(|| CloudEventError::Unreadable { name, value: value.chars().take(64).collect() })
    }
}

/// Reads an event from its attributes and its data. Extensions that this release does not know are kept.
///
/// # Errors
/// See [`CloudEventError`].
pub fn read(mut attributes: Attributes<'_>, data: &str) -> Result<PublishedEvent, CloudEventError> {
    let uuid = |value: &str| Uuid::try_parse(value).ok();
    // Positions and versions begin at 1.
    let number = |value: &str| value.parse().ok().filter(|number| *number > 0);
    attributes.take("specversion", |version| (version == SPEC_VERSION).then_some(()))?;
    if !attributes.0.contains_key(CORRELATION_ID) {
        return Err(CloudEventError::Missing(CORRELATION_ID));
    }
    let has_previous = attributes.0.contains_key(PREVIOUS_ID);
    let previous_id = has_previous.then(|| attributes.take(PREVIOUS_ID, uuid)).transpose()?;
    let event = RecordedEvent {
        position: Position(attributes.take("position", number)?),
        order_id: attributes.take("subject", |subject| OrderId::new(subject).ok())?,
        version: Version(attributes.take("version", number)?),
        id: attributes.take("id", uuid)?,
        event_type: attributes.take("type", |event_type| Some(intern_type(event_type)))?,
        time: attributes.take("time", rfc3339::parse)?,
        data: data.into(),
        source: attributes.take("source", |source| Some(Some(source.into())))?,
        context: EventContext::of(attributes.0.iter().map(|(name, value)| (*name, &**value))),
    };
    Ok(PublishedEvent { event, previous_id })
}

/// Reads an event that [`write()`] or [`write_published`] has written.
///
/// # Errors
/// See [`CloudEventError`].
pub fn read_json(text: &str) -> Result<PublishedEvent, CloudEventError> {
    let envelope: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(text).map_err(|error| CloudEventError::NotJson(error.to_string()))?;
    let mut attributes = Attributes::default();
    for (name, value) in &envelope {
        let scalar: Scalar<'_> = match serde_json::from_str(value.get()) {
            Ok(scalar) => scalar,
            // What is no attribute's value is the data, or nothing of CloudEvents.
            Err(_) => continue,
        };
        match scalar {
            Scalar::Text(text) => attributes.add(name, text),
            Scalar::Boolean(value) => attributes.add(name, Cow::Owned(value.to_string())),
            Scalar::Integer(value) => attributes.add(name, Cow::Owned(value.to_string())),
        }
    }
    let data = envelope.get("data").ok_or(CloudEventError::Missing("data"))?;
    read(attributes, data.get())
}

/// The value of an attribute (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#type-system>).
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Boolean(bool),
    Integer(i64),
}

#[cfg(test)]
mod tests {
    use order_domain::Timestamp;

    use super::*;

    fn event(actor: Option<&str>) -> RecordedEvent {
        RecordedEvent {
            position: Position(u64::MAX),
            order_id: OrderId::new("a.b~c:d-_").unwrap(),
            version: Version(7),
            id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001),
            event_type: Cow::Borrowed("order.placed.v1"),
            time: Timestamp::from_micros(1_767_225_600_123_456),
            data: r#"{"b": 1.50, "a": "ü\u0000"}"#.into(),
            context: EventContext::new("say \"ü\" \\ twice", None, actor),
            source: Some("/order-service".into()),
        }
    }

    #[test]
    fn an_event_survives_json() {
        for (event, previous_id) in [(event(None), None), (event(Some("clerk 7")), Some(Uuid::from_u128(7)))]
        {
            let mut text = String::new();
            write_published(&mut text, "\"/order-service\"", &event, previous_id);
            assert_eq!(read_json(&text), Ok(PublishedEvent { event, previous_id }));
        }
    }

    fn read_attributes<'a>(
        attributes: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<PublishedEvent, CloudEventError> {
        let attributes: Vec<_> = attributes.into_iter().collect();
        let mut found = Attributes::default();
        for (name, value) in &attributes {
            found.add(name, value.clone());
        }
        read(found, r#"{"b": 1.50, "a": "ü\u0000"}"#)
    }

    #[test]
    fn an_event_survives_as_attributes() {
        for (event, previous_id) in [(event(None), None), (event(Some("clerk 7")), Some(Uuid::from_u128(7)))]
        {
            let reversed: Vec<_> = attributes("/other", &event, previous_id).collect();
            let published = PublishedEvent { event: event.clone(), previous_id };
            assert_eq!(read_attributes(reversed.into_iter().rev()), Ok(published));
        }
    }

    #[test]
    fn an_event_without_a_source_of_its_own_gets_the_services() {
        let event = RecordedEvent { source: None, ..event(None) };
        let mut text = String::new();
        write(&mut text, "\"/order-service\"", &event);
        let read = read_attributes(attributes("/order-service", &event, None)).unwrap().event;
        for read in [read_json(&text).unwrap().event, read] {
            assert_eq!(read.source.as_deref(), Some("/order-service"));
        }
    }

    #[test]
    fn extensions_that_this_release_does_not_know_are_kept() {
        let mut text = String::new();
        write(&mut text, "\"/order-service\"", &event(None));
        let text = text.replacen('{', r#"{"zone":7,"dataschema":"s","Upper":"no","nested":{"a":1},"#, 1);
        let read = read_json(&text).unwrap().event;
        assert_eq!(read.context.members().count(), 2, "{:?}", read.context);
        assert_eq!(read.context.get("zone").as_deref(), Some("7"));
        let mut again = String::new();
        write(&mut again, "\"/order-service\"", &read);
        assert_eq!(read_json(&again).map(|published| published.event), Ok(read.clone()));
        let message = read_attributes(attributes("/", &read, None)).unwrap();
        assert_eq!(message.event, read);
    }

    #[test]
    fn the_id_of_the_event_before_is_the_messages_and_not_the_events() {
        let previous_id = Some(Uuid::from_u128(7));
        let message = read_attributes(attributes("/", &event(None), previous_id)).unwrap();
        assert_eq!((message.previous_id, message.event.context.get(PREVIOUS_ID)), (previous_id, None));
        let mut text = String::new();
        write(&mut text, "\"/\"", &message.event);
        assert!(!text.contains(PREVIOUS_ID), "{text}");
    }

    #[test]
    fn what_is_not_an_event_is_told() {
        let event = event(None);
        let with = |name: &'static str, value: Option<&'static str>| {
            let changed =
                attributes("/", &event, Some(Uuid::nil())).filter_map(|(known, there)| match value {
                    _ if known != name => Some((known, there)),
                    value => value.map(|value| (known, Cow::Borrowed(value))),
                });
            read_attributes(changed).map_err(|error| error.to_string())
        };
        assert_eq!(with("correlationid", None), Err("the attribute correlationid is missing".to_owned()));
        assert_eq!(with("id", None), Err("the attribute id is missing".to_owned()));
        assert_eq!(with("previousid", None).map(|published| published.previous_id), Ok(None));
        assert_eq!(with("previousid", Some("x")), Err("the attribute previousid cannot be \"x\"".to_owned()));
        assert_eq!(with("position", Some("0")), Err("the attribute position cannot be \"0\"".to_owned()));
        assert_eq!(with("version", Some("-1")), Err("the attribute version cannot be \"-1\"".to_owned()));
        assert_eq!(with("time", Some("noon")), Err("the attribute time cannot be \"noon\"".to_owned()));
        assert_eq!(with("subject", Some("a/b")), Err("the attribute subject cannot be \"a/b\"".to_owned()));
        assert_eq!(
            with("specversion", Some("2")),
            Err("the attribute specversion cannot be \"2\"".to_owned())
        );
        assert!(matches!(read_json("{"), Err(CloudEventError::NotJson(_))));
        assert_eq!(read_json(r#"{"id":"x"}"#), Err(CloudEventError::Missing("data")));
    }
}
