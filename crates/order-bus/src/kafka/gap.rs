//! What lies among the messages that were sent here, and was not sent here.
//!
//! A topic takes messages from whoever may write to it. Offsets tell that somebody does: those of one's own messages follow
//! on each other. Messages that are no events do no harm; an event is another relay's, whose log may be another one.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use order_application::BrokerError;
use rdkafka::Message;

use super::message::place_in_log;
use super::options::KafkaOptions;
use super::probe::Probe;

/// Offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) partition: i32,
    pub(super) offsets: Range<i64>,
}

/// Looks into gaps, and tells of an event that is there, if there is any. Blocks.
pub(super) fn find_event(options: &KafkaOptions, gaps: &[Gap]) -> Result<Option<String>, BrokerError> {
    let mut stretches: BTreeMap<i32, Range<i64>> = BTreeMap::new();
    for Gap { partition, offsets } in gaps {
        let stretch = stretches.entry(*partition).or_insert_with(|| offsets.clone());
        *stretch = stretch.start.min(offsets.start)..stretch.end.max(offsets.end);
    }
    let from: Vec<_> = stretches.iter().map(|(partition, offsets)| (*partition, offsets.start)).collect();
    let mut found = None;
    Probe::new(options)?.read(&from, |message| {
        let (partition, offset) = (message.partition(), message.offset());
        let is_in_gap = gaps.iter().any(|gap| gap.partition == partition && gap.offsets.contains(&offset));
        if let Some((position, _)) = place_in_log(message).filter(|_| is_in_gap && found.is_none()) {
            found = Some(format!(
                "partition {partition} of the topic {} has an event that was not sent here, of position {position}, at \
                 offset {offset}",
                options.topic
            ));
        }
        let is_last = stretches.get(&partition).is_none_or(|offsets| offset + 1 >= offsets.end);
        if is_last || found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}
