//! Events as CloudEvents 1.0 (<https://github.com/cloudevents/spec>), written and read back: as JSON (the JSON event
//! format), and as named attributes beside the bare data (the binary mode of message protocols).
//!
//! `position` and `version` are extensions, as decimal strings, since an integer of a CloudEvent has 32 bits.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use order_domain::OrderId;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::codec::intern_type;
use crate::event::{EventContext, Position, RecordedEvent, Version};
use crate::json_text::push_string;
use crate::rfc3339;

/// Bytes of an envelope without its data, about.
pub const ENVELOPE_BYTES: usize = 512;
/// What `data` is.
pub const DATA_CONTENT_TYPE: &str = "application/json";

const SPEC_VERSION: &str = "1.0";

/// Writes one envelope as JSON. `source` is a JSON string, quotes included; the stored data goes in as it is.
pub fn write(out: &mut String, source: &str, event: &RecordedEvent) {
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r#"{{"specversion":"{SPEC_VERSION}","id":"{}","source":{source},"type":"{}","subject":"{}","time":"{}","datacontenttype":"{DATA_CONTENT_TYPE}","position":"{}","version":"{}""#,
        event.id,
        event.event_type,
        event.order_id,
        rfc3339::format(event.time),
        event.position,
        event.version,
    );
    let context = &event.context;
    let extensions = [
        (",\"correlationid\":", Some(&context.correlation_id)),
        (",\"causationid\":", context.causation_id.as_ref()),
        (",\"actor\":", context.actor.as_ref()),
    ];
    for (member, value) in extensions {
        if let Some(value) = value {
            out.push_str(member);
            push_string(out, value);
        }
    }
    out.push_str(",\"data\":");
    out.push_str(&event.data);
    out.push('}');
}

/// A page of envelopes: a bare array, as the batched content mode has it.
pub fn write_page(source: &str, events: &[RecordedEvent]) -> String {
    let bytes: usize = events.iter().map(|event| event.data.len() + ENVELOPE_BYTES).sum();
    let mut out = String::with_capacity(bytes + 2);
    out.push('[');
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(&mut out, source, event);
    }
    out.push(']');
    out
}

/// The attributes of an event, all but its data's content type, which protocols have a place of their own for.
pub fn attributes<'a>(
    source: &'a str,
    event: &'a RecordedEvent,
) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
    let context = &event.context;
    let always: [(&'static str, Cow<'a, str>); 9] = [
        ("specversion", SPEC_VERSION.into()),
        ("id", event.id.to_string().into()),
        ("source", source.into()),
        ("type", (&*event.event_type).into()),
        ("subject", event.order_id.as_str().into()),
        ("time", rfc3339::format(event.time).into()),
        ("position", event.position.to_string().into()),
        ("version", event.version.to_string().into()),
        ("correlationid", (&*context.correlation_id).into()),
    ];
    let sometimes = [("causationid", &context.causation_id), ("actor", &context.actor)];
    let sometimes =
        sometimes.into_iter().filter_map(|(name, value)| value.as_deref().map(|value| (name, value.into())));
    always.into_iter().chain(sometimes)
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

/// Reads an event from its attributes and its data.
///
/// # Errors
/// See [`CloudEventError`].
pub fn read<'a>(
    attribute: impl Fn(&'static str) -> Option<Cow<'a, str>>,
    data: &str,
) -> Result<RecordedEvent, CloudEventError> {
    let needed = |name| attribute(name).ok_or(CloudEventError::Missing(name));
    let shared = |name| attribute(name).map(|value| Arc::from(&*value));
    if needed("specversion")? != SPEC_VERSION {
        return Err(unreadable("specversion", &needed("specversion")?));
    }
    let time = needed("time")?;
    let order_id = needed("subject")?;
    Ok(RecordedEvent {
        position: Position(number("position", &needed("position")?)?),
        order_id: OrderId::new(&*order_id).map_err(|_| unreadable("subject", &order_id))?,
        version: Version(number("version", &needed("version")?)?),
        id: needed("id").and_then(|id| Uuid::try_parse(&id).map_err(|_| unreadable("id", &id)))?,
        event_type: intern_type(&needed("type")?),
        time: rfc3339::parse(&time).ok_or_else(|| unreadable("time", &time))?,
        data: data.into(),
        context: EventContext {
            correlation_id: shared("correlationid").ok_or(CloudEventError::Missing("correlationid"))?,
            causation_id: shared("causationid"),
            actor: shared("actor"),
        },
    })
}

/// Reads an event that [`write()`] has written.
///
/// # Errors
/// See [`CloudEventError`].
pub fn read_json(text: &str) -> Result<RecordedEvent, CloudEventError> {
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| CloudEventError::NotJson(error.to_string()))?;
    let attribute = |name| match name {
        "specversion" => envelope.specversion.clone(),
        "id" => envelope.id.clone(),
        "type" => envelope.event_type.clone(),
        "subject" => envelope.subject.clone(),
        "time" => envelope.time.clone(),
        "position" => envelope.position.clone(),
        "version" => envelope.version.clone(),
        "correlationid" => envelope.correlationid.clone(),
        "causationid" => envelope.causationid.clone(),
        "actor" => envelope.actor.clone(),
        _ => None,
    };
    read(attribute, envelope.data.ok_or(CloudEventError::Missing("data"))?.get())
}

/// The members of an envelope that are read back. Others are passed over.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    position: Option<Cow<'a, str>>,
    #[serde(borrow)]
    version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    correlationid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    causationid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Positions and versions begin at 1.
fn number(name: &'static str, value: &str) -> Result<u64, CloudEventError> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| unreadable(name, value))
}

fn unreadable(name: &'static str, value: &str) -> CloudEventError {
    CloudEventError::Unreadable { name, value: value.chars().take(64).collect() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

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
            context: EventContext {
                correlation_id: "say \"ü\" \\ twice".into(),
                causation_id: None,
                actor: actor.map(Arc::from),
            },
        }
    }

    #[test]
    fn an_event_survives_json() {
        for event in [event(None), event(Some("clerk 7"))] {
            let mut text = String::new();
            write(&mut text, "\"/order-service\"", &event);
            assert_eq!(read_json(&text), Ok(event));
        }
    }

    #[test]
    fn an_event_survives_as_attributes() {
        for event in [event(None), event(Some("clerk 7"))] {
            let attributes: HashMap<_, _> = attributes("/order-service", &event).collect();
            assert_eq!(attributes["source"], "/order-service");
            assert_eq!(read(|name| attributes.get(name).cloned(), &event.data), Ok(event.clone()));
        }
    }

    #[test]
    fn what_is_not_an_event_is_told() {
        let event = event(None);
        let with = |name: &'static str, value: Option<&'static str>| {
            let event = event.clone();
            let attributes: HashMap<_, _> =
                attributes("/", &event).map(|(n, v)| (n, v.into_owned())).collect();
            let attribute = |wanted| match value {
                _ if wanted != name => attributes.get(wanted).map(|value| Cow::Owned(value.clone())),
                value => value.map(Cow::Borrowed),
            };
            read(attribute, "{}").map_err(|error| error.to_string())
        };
        assert_eq!(with("id", None), Err("the attribute id is missing".to_owned()));
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
