//! What a topic would have to show for a checkpoint.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use order_application::{BrokerError, Position};
use rdkafka::ClientContext;
use rdkafka::client::Client;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::milestones::{self, Milestone};
use super::probe::offsets;
use crate::send_window::AcknowledgedEvent;

/// How long the partitions' leaders may take to say where the partitions end: there may be none for a while.
const PATIENCE: Duration = Duration::from_secs(10);

/// What has been acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KafkaEvidence {
    /// The last message of each partition. Those without any are not there.
    pub(super) partitions: BTreeMap<i32, Mark>,
    /// The last event with all before it.
    pub(super) event: Option<AcknowledgedEvent>,
    /// From the oldest to the newest.
    pub(super) milestones: Vec<Milestone>,
}

/// A message by its place and its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) offset: i64,
    pub(super) id: Uuid,
}

impl KafkaEvidence {
    /// Notes an acknowledgement. `false` when it contradicts an earlier one: then the partition is not what it was.
    pub(super) fn acknowledge(&mut self, partition: i32, mark: Mark) -> bool {
        let is_behind = self.partitions.get(&partition).is_none_or(|last| mark.offset > last.offset);
        if is_behind {
            self.found(partition, mark);
        }
        is_behind
    }

    /// Notes that a message is a partition's last.
    pub(super) fn found(&mut self, partition: i32, mark: Mark) {
        self.partitions.insert(partition, mark);
    }

    /// Notes that everything up to a position is there, and that what comes next is published behind all that is there.
    pub(super) fn pass_milestone(&mut self, position: Position) {
        if !self.partitions.is_empty() && milestones::is_due(&self.milestones, position.0) {
            let marks = self.partitions.clone();
            milestones::add(&mut self.milestones, Milestone { position: position.0, marks });
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
            let last = self.partitions.get(&partition).map(|last| last.offset);
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
        evidence.milestones.push(Milestone { position: 12, marks: evidence.partitions.clone() });
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
        assert_eq!(evidence.partitions[&0], mark(5));
    }
}
