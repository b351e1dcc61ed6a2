//! An event as anybody sees it, whichever way it came.

use std::collections::BTreeMap;

/// The attributes of a CloudEvent, and the bytes of its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) data: Vec<u8>,
}

/// An event as a broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) event: Event,
    /// Where it went: a subject, or a key.
    pub(crate) address: String,
    /// The id of the event before it in the log, as it says.
    pub(crate) previous_id: Option<String>,
}

impl Message {
    /// A message with these attributes, one of which is none of its event's.
    pub(crate) fn new(
        attributes: impl Iterator<Item = (String, String)>,
        data: Vec<u8>,
        address: String,
    ) -> Self {
        let mut attributes: BTreeMap<_, _> = attributes.collect();
        let previous_id = attributes.remove("previousid");
        Self { event: Event { attributes, data }, address, previous_id }
    }
}

impl Event {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub(crate) fn order(&self) -> &str {
        self.attribute("subject")
    }

    /// 0 if it has none.
    pub(crate) fn version(&self) -> u64 {
        self.attribute("version").parse().unwrap_or_default()
    }

    /// 0 if it has none.
    pub(crate) fn position(&self) -> u64 {
        self.attribute("position").parse().unwrap_or_default()
    }
}
