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

/// What a checkpoint tells of its topic.
#[derive(Debug)]
pub(super) enum Evidence {
    None,
    /// It may be another broker's, of a checkpoint with this name.
    Unreadable,
    Known(KafkaEvidence),
}

impl Evidence {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let Some(text) = &checkpoint.evidence else { return Self::None };
        serde_json::from_str(text).map_or(Self::Unreadable, Self::Known)
    }
}

/// Compares a topic with the checkpoint's position and evidence. Removing what is old is not forgetting. Blocks.
pub(super) fn resume(
    probe: &Probe,
    topic: &str,
    partitions: i32,
    checkpoint: Position,
    evidence: Evidence,
) -> Result<KafkaResumption, BrokerError> {
    let is_readable = !matches!(evidence, Evidence::Unreadable);
    let mut evidence =
        if let Evidence::Known(evidence) = evidence { evidence } else { KafkaEvidence::default() };
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
    let Found { events: mut found, last, without } = find_events(probe, topic, &there, &evidence)?;
    if evidence.partitions.is_empty() && last.is_empty() && without.iter().any(|without| without.has_unseen) {
        return Err(unknown_owner(topic));
    }
    without.iter().for_each(|without| tracing::warn!("{}", without.notice()));
    if !has_evidence {
        lost.extend(less_than(checkpoint, is_readable, &found, &there));
    }
    let mut after = acknowledged(topic, checkpoint, &evidence);
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

/// Before anything was acknowledged here, what cannot be looked at may be another log's.
fn unknown_owner(topic: &str) -> BrokerError {
    BrokerError::Misconfigured(format!(
        "the topic {topic} has more messages that are no events than can be looked at (the last 100000 of a partition, or as \
         many as come within three seconds), and whose events lie behind them cannot be told: they may be another store's. \
         Nothing is published. Either publish to another topic (topic=), or empty that one if nobody needs it"
    ))
}

/// Up to where a checkpoint is to be believed. Whoever has moved it forward has not published anything by that.
fn acknowledged(topic: &str, checkpoint: Position, evidence: &KafkaEvidence) -> Position {
    #[cfg(feature = "planted-faults")]
    if crate::planted_faults::checkpoint_before_ack() {
        return checkpoint;
    }
    let up_to = evidence.event.map_or(checkpoint, |event| event.position().min(checkpoint));
    if up_to < checkpoint {
        tracing::warn!(
            "the topic {topic} had acknowledged events up to {up_to} only, when its checkpoint was at {checkpoint}: publishing \
             what comes after {up_to}"
        );
    }
    up_to
}

/// What a topic surely lacks of what was published up to a position, where nothing else is known of it. One that had messages
/// which were all removed, or that has others' messages only, may have had everything.
fn less_than(
    published: Position,
    is_readable: bool,
    found: &[FoundEvent],
    there: &BTreeMap<i32, Range<i64>>,
) -> Option<String> {
    if published == Position::START {
        return None;
    }
    if there.values().all(|offsets| offsets.end == 0) {
        return Some(format!("it never had a message, and events up to {published} were published"));
    }
    let Some(last) = found.iter().map(|event| event.position).max() else {
        let unknown =
            || format!("it has no event, and the evidence of those up to {published} cannot be read");
        return (!is_readable).then(unknown);
    };
    (last < published)
        .then(|| format!("its last event is {last}, and events up to {published} were published"))
}
