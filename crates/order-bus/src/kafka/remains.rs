//! What a topic still has without a gap, after it has lost something.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use order_application::{BrokerError, FoundEvent, Position};
use rdkafka::Message;

use super::evidence::Mark;
use super::message::{id, place_in_log};
use super::milestones::Milestone;
use super::probe::Probe;

/// Most messages that are read, and for how long. If there are more, it is enough to go on from where these end.
const READ_MESSAGES: usize = 200_000;
const READ_FOR: Duration = Duration::from_secs(4);

/// What a topic has without a gap.
#[derive(Debug)]
pub(super) struct Remains {
    /// Everything up to here is there.
    pub(super) up_to: Position,
    /// The events that tell so, for a comparison with the log.
    pub(super) found: Vec<FoundEvent>,
}

/// Reads what the topic has behind a milestone that is in its place, or from its beginning, up to the first position that is
/// missing. Blocks.
pub(super) fn remains(
    probe: &Probe,
    topic: &str,
    milestone: Option<&Milestone>,
    there: &BTreeMap<i32, Range<i64>>,
) -> Result<Remains, BrokerError> {
    let behind = |partition| milestone.and_then(|known| Some(known.marks.get(partition)?.offset + 1));
    let from: Vec<_> = there
        .iter()
        .map(|(partition, offsets)| (*partition, behind(partition).unwrap_or(0).max(offsets.start)))
        .filter(|(partition, from)| there.get(partition).is_some_and(|offsets| *from < offsets.end))
        .collect();
    let (mut found, mut read) = (Vec::new(), 0);
    let until = Instant::now() + READ_FOR;
    probe.read(&from, |message| {
        let partition = message.partition();
        found.extend(place_in_log(message).map(|(position, id)| (position, id, partition)));
        read += 1;
        let is_last = there.get(&partition).is_none_or(|offsets| message.offset() + 1 >= offsets.end);
        let is_enough = read >= READ_MESSAGES || Instant::now() >= until;
        if is_last || is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    found.sort_unstable_by_key(|(position, ..)| *position);
    let mut up_to = Position(milestone.map_or(0, |milestone| milestone.position));
    found.retain(|(position, ..)| {
        let is_next = *position == up_to.plus(1);
        up_to = if is_next { *position } else { up_to };
        *position <= up_to
    });
    let places: BTreeMap<i32, Arc<str>> =
        there.keys().map(|partition| (*partition, super::found::place(topic, *partition))).collect();
    let found = found.into_iter().filter_map(|(position, id, partition)| {
        Some(FoundEvent { place: Arc::clone(places.get(&partition)?), position, id })
    });
    Ok(Remains { up_to, found: found.collect() })
}

/// Whether a milestone's messages are where they were. Those that were removed for their age are left out, but for all of them.
/// Blocks.
pub(super) fn is_in_place(
    probe: &Probe,
    milestone: &Milestone,
    there: &BTreeMap<i32, Range<i64>>,
) -> Result<bool, BrokerError> {
    let mut unseen: BTreeMap<i32, Mark> = BTreeMap::new();
    for (partition, mark) in &milestone.marks {
        match there.get(partition) {
            Some(offsets) if mark.offset < offsets.start => {}
            Some(offsets) if mark.offset < offsets.end => {
                unseen.insert(*partition, *mark);
            }
            Some(_) | None => return Ok(false),
        }
    }
    let places: Vec<_> = unseen.iter().map(|(partition, mark)| (*partition, mark.offset)).collect();
    probe.read(&places, |message| {
        let is_it = |mark: &Mark| message.offset() == mark.offset && id(message) == Some(mark.id);
        if unseen.get(&message.partition()).is_some_and(is_it) {
            unseen.remove(&message.partition());
        }
        ControlFlow::Break(())
    })?;
    Ok(unseen.is_empty() && !places.is_empty())
}
