//! The events that a topic has, for whoever has the log to compare.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use order_application::{BrokerError, FoundEvent};
use rdkafka::Message;

use super::evidence::{KafkaEvidence, Mark};
use super::message::place_in_log;
use super::probe::Probe;

/// How many messages of a partition are looked at, from its end, where nothing is known of it.
const LOOKED_AT: i64 = 1_000;
/// The same where there is evidence of earlier ones: more than a relay has under way.
const LOOKED_AT_AFTER_EVIDENCE: i64 = 50_000;

/// Events of a topic, and the last of them in each partition.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) events: Vec<FoundEvent>,
    pub(super) last: BTreeMap<i32, Mark>,
}

/// A partition, in words that a sentence may begin with.
pub(super) fn place(topic: &str, partition: i32) -> Arc<str> {
    format!("partition {partition} of the topic {topic}").into()
}

/// The last events of each partition, from what there is evidence of to the end. A partition that has messages, but no event
/// among those that are looked at, is told of. All partitions are read at once. Blocks.
pub(super) fn find_events(
    probe: &Probe,
    topic: &str,
    there: &BTreeMap<i32, Range<i64>>,
    evidence: &KafkaEvidence,
) -> Result<Found, BrokerError> {
    let mut from = Vec::new();
    let mut places: BTreeMap<i32, Arc<str>> = BTreeMap::new();
    for (&partition, Range { start, end }) in there.iter().filter(|(_, offsets)| offsets.end > 0) {
        let known = evidence.partitions.get(&partition).map(|last| last.offset);
        let first = known.map_or(end - LOOKED_AT, |known| known.max(end - LOOKED_AT_AFTER_EVIDENCE));
        places.insert(partition, place(topic, partition));
        if first.max(*start) < *end {
            from.push((partition, first.max(*start)));
        }
    }
    let (mut found, mut without) = (Found::default(), places.clone());
    probe.read(&from, |message| {
        let partition = message.partition();
        if let (Some((position, id)), Some(place)) = (place_in_log(message), places.get(&partition)) {
            found.events.push(FoundEvent { place: Arc::clone(place), position, id });
            found.last.insert(partition, Mark { offset: message.offset(), id });
            without.remove(&partition);
        }
        let is_last = there.get(&partition).is_none_or(|offsets| message.offset() + 1 >= offsets.end);
        if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    for place in without.values() {
        tracing::warn!(
            "{place} has no event any more that could be compared with the log: it is taken for this log's"
        );
    }
    Ok(found)
}
