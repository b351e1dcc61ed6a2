//! Where to go on, by what a topic still has and what it had acknowledged.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use order_application::{BrokerError, Checkpoint, FoundEvent, Position};
use rdkafka::Message;

use super::evidence::{KafkaEvidence, Mark};
use super::found::{Found, find_events};
use super::message::id;
use super::probe::Probe;
use super::remains::{is_in_place, remains};

/// A partition that seems to have lost something is looked at again: a leader that is new may not know its end at once.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Where publication goes on.
#[derive(Debug)]
pub(super) struct KafkaResumption {
    pub(super) after: Position,
    /// What the topic has.
    pub(super) evidence: KafkaEvidence,
    /// What it lost, if anything.
    pub(super) lost: Vec<String>,
    /// Events that it has, for a comparison with the log.
    pub(super) found: Vec<FoundEvent>,
    /// The offsets that each partition has.
    pub(super) there: BTreeMap<i32, Range<i64>>,
}

/// Compares a topic with the checkpoint. Removing what is old is not forgetting. Blocks.
pub(super) fn resume(
    probe: &Probe,
    topic: &str,
    partitions: i32,
    checkpoint: &Checkpoint,
) -> Result<KafkaResumption, BrokerError> {
    let evidence = checkpoint.evidence.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let mut evidence: KafkaEvidence = evidence.unwrap_or_default();
    let mut there = probe.all_offsets(partitions)?;
    let mut losses = losses(probe, &evidence, &there)?;
    for _ in 1..LOOKS {
        if losses.is_empty() {
            break;
        }
        probe.wait(BETWEEN_LOOKS);
        there = probe.all_offsets(partitions)?;
        losses = self::losses(probe, &evidence, &there)?;
    }
    let has_evidence = !evidence.partitions.is_empty();
    evidence.partitions.retain(|partition, _| !losses.contains_key(partition));
    let mut lost: Vec<_> = losses.into_values().collect();
    let Found { events: mut found, last } = find_events(probe, topic, &there, &evidence)?;
    if !has_evidence {
        lost.extend(less_than(checkpoint.position, &found, &there));
    }
    let mut after = checkpoint.position;
    if !lost.is_empty() {
        while let Some(newest) = evidence.milestones.last() {
            if is_in_place(probe, newest, &there)? {
                break;
            }
            evidence.milestones.pop();
        }
        let remains = remains(probe, topic, evidence.milestones.last(), &there)?;
        after = after.min(remains.up_to);
        found.extend(remains.found);
    }
    found.extend(evidence.event.map(|event| event.found(&format!("the topic {topic}"))));
    last.into_iter().for_each(|(partition, mark)| evidence.found(partition, mark));
    evidence.pass_milestone(after);
    Ok(KafkaResumption { after, evidence, lost, found, there })
}

/// The partitions that are not what they were, and what they lost.
fn losses(
    probe: &Probe,
    evidence: &KafkaEvidence,
    there: &BTreeMap<i32, Range<i64>>,
) -> Result<BTreeMap<i32, String>, BrokerError> {
    let mut losses = BTreeMap::new();
    let mut compared = BTreeMap::new();
    for (&partition, &Mark { offset, id }) in &evidence.partitions {
        let left = there.get(&partition).cloned().unwrap_or(0..0);
        if left.end <= offset {
            let end = left.end;
            losses.insert(
                partition,
                format!("partition {partition} ends at offset {end}, and had offset {offset}"),
            );
        } else if left.contains(&offset) {
            compared.insert(partition, Mark { offset, id });
        }
    }
    let places: Vec<_> = compared.iter().map(|(partition, mark)| (*partition, mark.offset)).collect();
    probe.read(&places, |message| {
        let partition = message.partition();
        // If it is a later one, the message itself was removed.
        if let Some(mark) = compared.remove(&partition)
            && message.offset() == mark.offset
            && id(message) != Some(mark.id)
        {
            let offset = mark.offset;
            losses.insert(
                partition,
                format!("partition {partition} has another message at offset {offset} than it had"),
            );
        }
        ControlFlow::Break(())
    })?;
    Ok(losses)
}

/// What a topic surely lacks of what was published up to a position, where nothing else is known of it. One that had messages
/// which were all removed, or that has others' messages only, may have had everything.
fn less_than(published: Position, found: &[FoundEvent], there: &BTreeMap<i32, Range<i64>>) -> Option<String> {
    if published == Position::START {
        return None;
    }
    if there.values().all(|offsets| offsets.end == 0) {
        return Some(format!("it never had a message, and events up to {published} were published"));
    }
    let last = found.iter().map(|event| event.position).max()?;
    (last < published)
        .then(|| format!("its last event is {last}, and events up to {published} were published"))
}
