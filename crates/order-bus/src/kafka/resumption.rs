//! Where to go on, by what a topic still has and what it had acknowledged.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use order_application::{BrokerError, Checkpoint, Position};
use rdkafka::Message;

use super::evidence::{KafkaEvidence, Marks};
use super::message::{id, position};
use super::probe::Probe;

/// How many messages of a partition are looked at, from its end, for the last one that is this service's.
const LOOKED_AT: i64 = 1_000;
/// A partition that seems to have lost something is looked at again: a leader that is new may not know its end at once.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Where publication goes on.
#[derive(Debug)]
pub(super) struct KafkaResumption {
    pub(super) after: Position,
    /// What the topic still has.
    pub(super) evidence: KafkaEvidence,
    /// What it lost, if anything.
    pub(super) lost: Vec<String>,
    /// The offsets that each partition has.
    pub(super) there: BTreeMap<i32, Range<i64>>,
}

/// Compares a topic with the checkpoint. Removing what is old is not forgetting. Blocks.
pub(super) fn resume(
    probe: &Probe,
    source: &str,
    partitions: i32,
    checkpoint: &Checkpoint,
) -> Result<KafkaResumption, BrokerError> {
    let evidence = checkpoint.evidence.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let mut resumption = KafkaResumption {
        after: checkpoint.position,
        evidence: evidence.unwrap_or_default(),
        lost: Vec::new(),
        there: probe.all_offsets(partitions)?,
    };
    let mut losses = losses(probe, &resumption.evidence, &resumption.there)?;
    for _ in 1..LOOKS {
        if losses.is_empty() {
            break;
        }
        probe.wait(BETWEEN_LOOKS);
        resumption.there = probe.all_offsets(partitions)?;
        losses = self::losses(probe, &resumption.evidence, &resumption.there)?;
    }
    for (partition, (marks, left)) in losses {
        let (offset, end) = (marks.last.offset, left.end);
        resumption.lost.push(if end > offset {
            format!("partition {partition} has another message at offset {offset} than it had")
        } else {
            format!("partition {partition} ends at offset {end}, and had offset {offset}")
        });
        resumption.evidence.partitions.remove(&partition);
        let remains = last_of_ours(probe, source, partition, marks, left)?;
        resumption.after = resumption.after.min(remains);
    }
    Ok(resumption)
}

/// The partitions that are not what they were, with what they had and the offsets that they have now.
fn losses(
    probe: &Probe,
    evidence: &KafkaEvidence,
    there: &BTreeMap<i32, Range<i64>>,
) -> Result<BTreeMap<i32, (Marks, Range<i64>)>, BrokerError> {
    let mut losses = BTreeMap::new();
    let mut compared = BTreeMap::new();
    for (&partition, &marks) in &evidence.partitions {
        let left = there.get(&partition).cloned().unwrap_or(0..0);
        if left.end <= marks.last.offset {
            losses.insert(partition, (marks, left));
        } else if left.contains(&marks.last.offset) {
            compared.insert(partition, (marks, left));
        }
    }
    let places: Vec<_> =
        compared.iter().map(|(partition, (marks, _))| (*partition, marks.last.offset)).collect();
    probe.read(&places, |message| {
        let partition = message.partition();
        // If it is a later one, the message itself was removed.
        if let Some((marks, left)) = compared.remove(&partition)
            && message.offset() == marks.last.offset
            && id(message) != Some(marks.last.id)
        {
            losses.insert(partition, (marks, left));
        }
        ControlFlow::Break(())
    })?;
    Ok(losses)
}

/// The position up to which a partition surely has everything that belongs there.
///
/// Its last message tells, if what comes before it is what always was. Where nothing shows that, the partition counts as
/// empty: a topic that was made anew while events were under way begins with these.
fn last_of_ours(
    probe: &Probe,
    source: &str,
    partition: i32,
    marks: Marks,
    left: Range<i64>,
) -> Result<Position, BrokerError> {
    if !left.contains(&marks.older.offset) {
        return Ok(Position::START);
    }
    let mut older = None;
    probe.read(&[(partition, marks.older.offset)], |message| {
        let unchanged = message.offset() == marks.older.offset && id(message) == Some(marks.older.id);
        older = position(message, source).filter(|_| unchanged);
        ControlFlow::Break(())
    })?;
    let Some(mut found) = older else { return Ok(Position::START) };
    let from = (left.end - LOOKED_AT).max(marks.older.offset);
    probe.read(&[(partition, from)], |message| {
        found = position(message, source).unwrap_or(found);
        if message.offset() + 1 >= left.end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}
