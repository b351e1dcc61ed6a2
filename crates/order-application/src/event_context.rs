//! Where an event came from, in the form in which it is stored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::json_text::push_string;
use crate::traces::{TRACE_PARENT, TRACE_STATE, TraceContext, TraceParent};

/// Ties together everything that one request set off.
pub const CORRELATION_ID: &str = "correlationid";
/// What caused the command, where another message did.
pub const CAUSATION_ID: &str = "causationid";
/// Who asked for it, where that is known.
pub const ACTOR: &str = "actor";

/// A context that has a correlation id, a cause and an actor's name; a longer one grows.
const TYPICAL_BYTES: usize = 160;

/// The members that come first, in this order; others follow by their names.
const FIRST: [&str; 3] = [CORRELATION_ID, CAUSATION_ID, ACTOR];

/// Where a command came from; the same for all its events. Cheap to clone.
///
/// It is kept as the text that is stored: one JSON object whose members are the event's CloudEvents extensions, each a
/// string. So a release hands on members that it does not know, and writes envelopes without taking the text apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventContext(Arc<str>);

impl EventContext {
    /// The context of a command that belongs to no trace.
    pub fn new(correlation_id: &str, causation_id: Option<&str>, actor: Option<&str>) -> Self {
        Self::traced(correlation_id, causation_id, actor, None)
    }

    /// The context of a command, with its place in a trace if it has one.
    pub fn traced(
        correlation_id: &str,
        causation_id: Option<&str>,
        actor: Option<&str>,
        trace: Option<&TraceContext>,
    ) -> Self {
        let parent = trace.map(|trace| trace.parent.to_string());
        let state = trace.and_then(|trace| trace.state.as_ref());
        let members = [
            (CORRELATION_ID, Some(correlation_id)),
            (CAUSATION_ID, causation_id),
            (ACTOR, actor),
            (TRACE_PARENT, parent.as_deref()),
            (TRACE_STATE, state.map(|state| state.as_str())),
        ];
        object(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
    }

    /// The context that has these members, in whatever order they come.
    pub fn of<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        members.sort_unstable_by_key(|(name, _)| (rank(name), *name));
        object(members.into_iter())
    }

    /// The context that was stored as this text, by this release or another. It is not looked into: its row's checksum says
    /// that it is what was written.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text to store: a JSON object.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The place in a trace that the command had, if it had one.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        // Where it stands is looked for as text: this is asked of every event that is relayed, and a text in JSON has no quotes
        // that are not escaped.
        const BEFORE: &str = "\"traceparent\":\"";
        let (_, after) = self.0.split_once(BEFORE)?;
        TraceParent::parse(after.split('"').next()?)
    }

    /// The members as they stand in the object, without its braces. Empty if there are none.
    pub fn members_json(&self) -> &str {
        let members = self.0.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        members.unwrap_or_default().trim()
    }

    /// All members with their values, by their names.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let members: BTreeMap<Text<'_>, Text<'_>> = serde_json::from_str(&self.0).unwrap_or_default();
        members.into_iter().map(|(Text(name), Text(value))| (name, value))
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<String> {
        let member = self.members().find(|(there, _)| there == name);
        member.map(|(_, value)| value.into_owned())
    }
}

/// A text that is borrowed from the JSON where nothing in it is escaped.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> EventContext {
    let mut text = String::with_capacity(TYPICAL_BYTES);
    text.push('{');
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        push_string(&mut text, name);
        text.push(':');
        push_string(&mut text, value);
    }
    text.push('}');
    EventContext(text.into())
}

/// Whether CloudEvents allow such a name for an extension: lower-case letters and digits.
pub fn is_extension_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_an_object_of_what_is_known() {
        let context = EventContext::new("say \"ü\"", None, Some("clerk 7"));
        assert_eq!(context.as_json(), r#"{"correlationid":"say \"ü\"","actor":"clerk 7"}"#);
        assert_eq!(context.members_json(), r#""correlationid":"say \"ü\"","actor":"clerk 7""#);
        assert_eq!(context.get(CORRELATION_ID).as_deref(), Some("say \"ü\""));
        assert_eq!(context.get(CAUSATION_ID), None);
        assert_eq!(context.members().count(), 2);
    }

    #[test]
    fn a_context_has_the_place_in_a_trace_last() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (states, expected) in [
            (&["a=\"1\""][..], format!(r#","traceparent":"{parent}","tracestate":"a=\"1\"""#)),
            (&["no list"], format!(r#","traceparent":"{parent}""#)),
        ] {
            let trace = TraceContext::read(parent, states.iter().copied()).unwrap();
            let quoting = r#"","traceparent":"00-00000000000000000000000000000001-0000000000000001-01"#;
            let quoted = EventContext::traced(quoting, None, Some(quoting), Some(&trace));
            assert_eq!(quoted.trace_parent(), Some(trace.parent));
            assert_eq!(EventContext::new(quoting, None, None).trace_parent(), None);
            let context = EventContext::traced("c", None, Some("clerk"), Some(&trace));
            assert_eq!(context.members_json(), format!(r#""correlationid":"c","actor":"clerk"{expected}"#));
            // As when it comes back from a broker.
            let members: Vec<_> = context.members().collect();
            let again = EventContext::of(members.iter().map(|(name, value)| (&**name, &**value)));
            assert_eq!(again, context);
        }
    }

    #[test]
    fn a_context_does_not_depend_on_the_order_of_its_members() {
        let members = [("zone", "7"), (ACTOR, "clerk"), ("traceparent", "00-1"), (CORRELATION_ID, "c")];
        let text = r#"{"correlationid":"c","actor":"clerk","traceparent":"00-1","zone":"7"}"#;
        assert_eq!(EventContext::of(members).as_json(), text);
    }

    #[test]
    fn a_context_without_members_is_an_empty_object() {
        let context = EventContext::of([]);
        assert_eq!((context.as_json(), context.members_json()), ("{}", ""));
    }

    #[test]
    fn what_is_no_context_has_no_members() {
        for text in ["", "[]", "null", r#"{"a":1}"#] {
            assert_eq!(EventContext::stored(text).members().count(), 0, "{text}");
        }
    }
}
