//! A topic that was there already is taken as it is. What may surprise is told, once.

use order_application::MAX_MESSAGE_BYTES;
use rdkafka::admin::{ConfigResource, ConfigSource};

/// What counts of a topic's settings, as far as one may know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TopicSettings {
    /// What a batch may have in bytes.
    pub(super) max_message_bytes: Option<usize>,
    /// Of messages with the same key only the last is kept.
    pub(super) is_compacted: bool,
    /// After how many milliseconds messages are removed, if nobody has decided that for this topic: it is its broker's default.
    pub(super) default_retention_ms: Option<u64>,
}

impl TopicSettings {
    pub(super) fn read(described: &ConfigResource) -> Self {
        let value = |name: &str| described.get(name).and_then(|entry| entry.value.as_deref());
        let is_own =
            |name: &str| described.get(name).is_some_and(|entry| entry.source == ConfigSource::DynamicTopic);
        let policy = value("cleanup.policy").unwrap_or_default();
        // Negative: without an end.
        let retention =
            value("retention.ms").filter(|_| policy.contains("delete") && !is_own("retention.ms"));
        Self {
            max_message_bytes: value("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
            is_compacted: policy.contains("compact"),
            default_retention_ms: retention.and_then(|retention| retention.parse().ok()),
        }
    }

    /// What works, but otherwise than one may think.
    pub(super) fn peculiarities(&self) -> Vec<String> {
        let compacted = self.is_compacted.then(|| {
            "is compacted (cleanup.policy=compact): of each order only the last event is kept, no replica can be built from it, \
             and publishing again does not help. Set cleanup.policy=delete, or publish to another topic"
                .to_owned()
        });
        let retention = self.default_retention_ms.map(|milliseconds| {
            format!(
                "keeps messages for {}, which is its broker's default: then they are gone, and no replica can be built from it \
                 alone. Set its retention.ms, to -1 to keep all, or to the time that you want",
                in_words(milliseconds)
            )
        });
        // An event that the topic does not take stops the relay one day.
        let largest = self.max_message_bytes.filter(|bytes| *bytes < MAX_MESSAGE_BYTES).map(|bytes| {
            format!(
                "takes messages of {bytes} bytes, and the largest event comes to {MAX_MESSAGE_BYTES}, unless it is compressed: \
                 raise its max.message.bytes"
            )
        });
        [compacted, retention, largest].into_iter().flatten().collect()
    }
}

fn in_words(milliseconds: u64) -> String {
    let hours = milliseconds / 3_600_000;
    match hours {
        0 => format!("{} s", milliseconds / 1_000),
        1..48 => format!("{hours} h"),
        _ => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_surprise_is_told() {
        let fine = TopicSettings { max_message_bytes: Some(1_048_588), ..TopicSettings::default() };
        assert_eq!(fine.peculiarities(), [""; 0]);
        assert_eq!(TopicSettings::default().peculiarities(), [""; 0], "nothing is known");
        for (settings, says) in [
            (TopicSettings { is_compacted: true, ..fine.clone() }, "cleanup.policy=compact"),
            (TopicSettings { default_retention_ms: Some(604_800_000), ..fine.clone() }, "for 7 days"),
            (TopicSettings { default_retention_ms: Some(7_200_000), ..fine.clone() }, "for 2 h"),
            (
                TopicSettings { max_message_bytes: Some(100_000), ..fine.clone() },
                "raise its max.message.bytes",
            ),
        ] {
            let found = settings.peculiarities();
            assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
        }
    }
}
