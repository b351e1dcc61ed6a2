//! What a topic would have to show for a checkpoint.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use order_application::BrokerError;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::probe::offsets;
use crate::send_window::AcknowledgedEvent;

/// How long the partitions' leaders may take to say where the partitions end: there may be none for a while.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far the older mark stays behind the last, in messages: between so many and twice as many.
const MARKS_APART: i64 = 100_000;

/// What has been acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KafkaEvidence {
    /// By partition. Those without anything are not there.
    pub(super) partitions: BTreeMap<i32, Marks>,
    /// The last event with all before it.
    pub(super) event: Option<AcknowledgedEvent>,
}

/// A message by its place and its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) offset: i64,
    pub(super) id: Uuid,
}

/// What has been acknowledged of one partition.
///
/// Kafka's clients do not tell whether a topic is still the one that it was. So if something at the end is gone, it takes
/// an older message that is still in its place to know that the rest is, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// The last message.
    pub(super) last: Mark,
    /// One long before it; the first one, as long as there are few.
    pub(super) older: Mark,
    /// Will be the older one.
    #[serde(skip)]
    next: Option<Mark>,
}

impl Marks {
    fn first(mark: Mark) -> Self {
        Self { last: mark, older: mark, next: None }
    }

    /// `false` when the message is not behind the last one: then the partition is not what it was.
    fn advance(&mut self, mark: Mark) -> bool {
        if mark.offset <= self.last.offset {
            return false;
        }
        self.last = mark;
        let newest = self.next.unwrap_or(self.older);
        if mark.offset - newest.offset >= MARKS_APART {
            self.older = newest;
            self.next = Some(mark);
        }
        true
    }
}

impl KafkaEvidence {
    /// Notes an acknowledgement. `false` when it contradicts an earlier one.
    pub(super) fn acknowledge(&mut self, partition: i32, mark: Mark) -> bool {
        match self.partitions.get_mut(&partition) {
            Some(marks) => marks.advance(mark),
            None => {
                self.partitions.insert(partition, Marks::first(mark));
                true
            }
        }
    }

    /// Compares the ends of these partitions with what was acknowledged, and tells where they are. Blocks.
    pub(super) fn check_ends<C: ClientContext>(
        &self,
        client: &Client<C>,
        topic: &str,
        partitions: impl IntoIterator<Item = i32>,
    ) -> Result<BTreeMap<i32, i64>, BrokerError> {
        let until = Instant::now() + PATIENCE;
        let mut ends = BTreeMap::new();
        for partition in partitions {
            let left = until.saturating_duration_since(Instant::now());
            let end = offsets(client, topic, partition, left)?.end;
            let last = self.partitions.get(&partition).map(|marks| marks.last.offset);
            if let Some(last) = last.filter(|last| end <= *last) {
                return Err(BrokerError::OutOfStep(format!(
                    "partition {partition} of {topic} ends at offset {end}, and had acknowledged offset {last}"
                )));
            }
            ends.insert(partition, end);
        }
        Ok(ends)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mark(offset: i64) -> Mark {
        Mark { offset, id: Uuid::from_u128(offset.unsigned_abs().into()) }
    }

    #[test]
    fn evidence_is_read_as_it_was_written() {
        let mut evidence = KafkaEvidence::default();
        assert!(evidence.acknowledge(3, mark(7)) && evidence.acknowledge(3, mark(9)));
        assert!(evidence.acknowledge(0, mark(0)));
        let text = json!(evidence).to_string();
        assert_eq!(serde_json::from_str::<KafkaEvidence>(&text).unwrap(), evidence, "{text}");
        for foreign in ["{}", r#"{"stream":"ORDERS"}"#] {
            assert!(serde_json::from_str::<KafkaEvidence>(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn an_offset_that_comes_again_is_told() {
        let mut evidence = KafkaEvidence::default();
        assert!(evidence.acknowledge(0, mark(5)));
        assert!(evidence.acknowledge(1, mark(0)), "each partition has its own");
        assert!(!evidence.acknowledge(0, mark(5)));
        assert!(!evidence.acknowledge(0, mark(0)));
        assert_eq!(evidence.partitions[&0].last, mark(5));
    }

    #[test]
    fn the_older_mark_follows_at_a_distance() {
        let mut marks = Marks::first(mark(10));
        for offset in 11..1_000_000 {
            assert!(marks.advance(mark(offset)));
            let behind = offset - marks.older.offset;
            assert!(behind < 2 * MARKS_APART);
            assert!(behind >= MARKS_APART || marks.older == mark(10));
        }
    }
}
