//! Events as CloudEvents 1.0 in JSON (<https://github.com/cloudevents/spec>, JSON event format).

use std::fmt::Write;

use order_application::{RecordedEvent, rfc3339};

use crate::json::push_string;

/// Bytes of an envelope without its data, about.
pub(crate) const ENVELOPE_BYTES: usize = 512;

/// Writes one envelope. `source` is a JSON string, quotes included; the stored data goes in as it is.
pub(crate) fn write(out: &mut String, source: &str, event: &RecordedEvent) {
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r#"{{"specversion":"1.0","id":"{}","source":{source},"type":"{}","subject":"{}","time":"{}","datacontenttype":"application/json","position":"{}","version":"{}""#,
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
pub(crate) fn write_page(source: &str, events: &[RecordedEvent]) -> String {
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
