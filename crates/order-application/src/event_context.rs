//! Where an event came from, in the form in which it is stored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::json_text::push_string;

/// Ties together everything that one request set off.
pub const CORRELATION_ID: &str = "correlationid";
/// What caused the command, where another message did.
pub const CAUSATION_ID: &str = "causationid";
/// Who asked for it, where that is known.
pub const ACTOR: &str = "actor";

/// The members that come first, in this order; others follow by their names.
const FIRST: [&str; 3] = [CORRELATION_ID, CAUSATION_ID, ACTOR];

/// Where a command came from; the same for all its events. Cheap to clone.
///
/// It is kept as the text that is stored: one JSON object whose members are the event's CloudEvents extensions, each a
/// string. So a release hands on members that it does not know, and writes envelopes without taking the text apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventContext(Arc<str>);

impl EventContext {
    /// The context of a command.
    pub fn new(correlation_id: &str, causation_id: Option<&str>, actor: Option<&str>) -> Self {
        let members = [(CORRELATION_ID, Some(correlation_id)), (CAUSATION_ID, causation_id), (ACTOR, actor)];
        object(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
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

    /// The members as they stand in the object, without its braces. Empty if there are none.
    pub fn members_json(&self) -> &str {
        let members = self.0.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        members.unwrap_or_default().trim()
    }

    /// All members with their values, in their order.
    pub fn members(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        serde_json::from_str(&self.0).map(|Members(members)| members).unwrap_or_default()
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<String> {
        let member = self.members().into_iter().find(|(there, _)| there == name);
        member.map(|(_, value)| value.into_owned())
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(FIRST.len());
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A text that is borrowed from the JSON where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Puts a context together from members that come in any order.
#[derive(Debug, Default)]
pub struct ContextBuilder(BTreeMap<(usize, String), String>);

impl ContextBuilder {
    /// Adds a member; of two with one name the first counts.
    pub fn add(&mut self, name: &str, value: &str) {
        let rank = FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        self.0.entry((rank, name.to_owned())).or_insert_with(|| value.to_owned());
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|(_, there)| there == name)
    }

    /// The context: the same for the same members.
    pub fn finish(self) -> EventContext {
        object(self.0.iter().map(|((_, name), value)| (&**name, &**value)))
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> EventContext {
    let mut text = String::from("{");
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
        assert_eq!(context.members().len(), 2);
    }

    #[test]
    fn a_context_does_not_depend_on_the_order_of_its_members() {
        let mut context = ContextBuilder::default();
        for (name, value) in
            [("zone", "7"), (ACTOR, "clerk"), ("traceparent", "00-1"), (CORRELATION_ID, "c"), ("zone", "8")]
        {
            context.add(name, value);
        }
        let text = r#"{"correlationid":"c","actor":"clerk","traceparent":"00-1","zone":"7"}"#;
        assert_eq!(context.finish().as_json(), text);
    }

    #[test]
    fn a_context_without_members_is_an_empty_object() {
        let context = ContextBuilder::default().finish();
        assert_eq!((context.as_json(), context.members_json()), ("{}", ""));
    }

    #[test]
    fn what_is_no_context_has_no_members() {
        for text in ["", "[]", "null", r#"{"a":1}"#] {
            assert!(EventContext::stored(text).members().is_empty(), "{text}");
        }
    }
}
