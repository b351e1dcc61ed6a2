//! The events that a topic has, for whoever has the log to compare.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use order_application::{BrokerError, FoundEvent};
use rdkafka::Message;

use super::evidence::{KafkaEvidence, Mark};
use super::message::place_in_log;
use super::probe::Probe;

/// How many messages of a partition are looked at, from its end. While there is no event among them, the next number counts.
const LOOKED_AT: [i64; 3] = [1_000, 10_000, 100_000];
/// The least where there is evidence of earlier ones: more than a relay has under way.
const LOOKED_AT_AFTER_EVIDENCE: i64 = 50_000;
/// For how long the further numbers are tried: opening has to come to an end.
const LOOK_FOR: Duration = Duration::from_secs(3);

/// Events of a topic, and the last of them in each partition.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) events: Vec<FoundEvent>,
    pub(super) last: BTreeMap<i32, Mark>,
    /// Partitions that have had messages, and in which no last event was found.
    pub(super) without: Vec<Without>,
}

/// A partition in which no last event was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Without {
    place: Arc<str>,
    /// How many messages came after what there is evidence of, or at all if there is none.
    later: i64,
    is_known: bool,
    /// It has more messages than may be looked at.
    pub(super) has_unseen: bool,
}

impl Without {
    /// What is to be said of it when it is published to.
    pub(super) fn notice(&self) -> String {
        let Self { place, later, is_known, has_unseen } = self;
        let what = if *has_unseen {
            "has more messages that are no events than can be looked at"
        } else {
            "has no event any more that could be compared with the log"
        };
        let since = match later {
            0 => String::new(),
            _ if *is_known => format!(
                ". {later} messages came into it after this checkpoint was saved: if they were events, this store is older \
                 than what was published"
            ),
            _ => format!(". It has had {later} messages"),
        };
        format!("{place} {what}: it is taken for this log's{since}")
    }
}

/// A partition, in words that a sentence may begin with.
pub(super) fn place(topic: &str, partition: i32) -> Arc<str> {
    format!("partition {partition} of the topic {topic}").into()
}

/// The last events of each partition, from what there is evidence of to the end; or from further back, as long as there is none.
/// All partitions are read at once. Blocks.
pub(super) fn find_events(
    probe: &Probe,
    topic: &str,
    there: &BTreeMap<i32, Range<i64>>,
    evidence: &KafkaEvidence,
) -> Result<Found, BrokerError> {
    let known = |partition: &i32| evidence.partitions.get(partition).map(|last| last.offset);
    let used = || there.iter().filter(|(_, offsets)| offsets.end > 0);
    let mut unseen: BTreeMap<i32, Range<i64>> = used()
        .map(|(partition, Range { start, end })| {
            (*partition, known(partition).map_or(*start, |known| known.max(*start))..*end)
        })
        .collect();
    let places = used().map(|(partition, _)| (*partition, place(topic, *partition))).collect();
    let mut found = Found::default();
    let mut until = None;
    for looked_at in LOOKED_AT {
        let stretches = stretches(&unseen, &found, |partition| {
            let at_least = known(partition).map_or(0, |_| LOOKED_AT_AFTER_EVIDENCE);
            there.get(partition).map_or(0, |offsets| offsets.end - looked_at.max(at_least))
        });
        let cut_short = look_at(probe, &stretches, &places, until, &mut found)?;
        for (partition, stretch) in stretches {
            // Where it was cut short, what was found may not be the last.
            if cut_short.contains(&partition) {
                found.last.remove(&partition);
            } else if let Some(unseen) = unseen.get_mut(&partition) {
                unseen.end = stretch.start;
            }
        }
        if !cut_short.is_empty() {
            break;
        }
        until.get_or_insert_with(|| Instant::now() + LOOK_FOR);
    }
    let without =
        used().filter(|(partition, _)| !found.last.contains_key(partition)).map(|(partition, offsets)| {
            Without {
                place: place(topic, *partition),
                later: offsets.end - known(partition).map_or(0, |known| known + 1),
                is_known: known(partition).is_some(),
                has_unseen: unseen.get(partition).is_some_and(|unseen| !unseen.is_empty()),
            }
        });
    found.without = without.collect();
    Ok(found)
}

/// What is to be looked at next of the partitions in which there is no event yet, from an offset on.
fn stretches(
    unseen: &BTreeMap<i32, Range<i64>>,
    found: &Found,
    from: impl Fn(&i32) -> i64,
) -> BTreeMap<i32, Range<i64>> {
    let open = unseen.iter().filter(|(partition, _)| !found.last.contains_key(partition));
    let stretches =
        open.map(|(partition, unseen)| (*partition, from(partition).max(unseen.start)..unseen.end));
    stretches.filter(|(_, stretch)| !stretch.is_empty()).collect()
}

/// Adds the events of these stretches. Answers with the partitions whose stretches were not read to their ends in time.
fn look_at(
    probe: &Probe,
    stretches: &BTreeMap<i32, Range<i64>>,
    places: &BTreeMap<i32, Arc<str>>,
    until: Option<Instant>,
    found: &mut Found,
) -> Result<BTreeSet<i32>, BrokerError> {
    let mut cut_short = BTreeSet::new();
    let from: Vec<_> = stretches.iter().map(|(partition, offsets)| (*partition, offsets.start)).collect();
    probe.read(&from, |message| {
        let (partition, offset) = (message.partition(), message.offset());
        if let (Some((position, id)), Some(place)) = (place_in_log(message), places.get(&partition)) {
            found.events.push(FoundEvent { place: Arc::clone(place), position, id });
            found.last.insert(partition, Mark { offset, id });
        }
        let is_last = stretches.get(&partition).is_none_or(|stretch| offset + 1 >= stretch.end);
        let is_late = !is_last && until.is_some_and(|until| Instant::now() >= until);
        if is_late {
            cut_short.insert(partition);
        }
        if is_last || is_late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(cut_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_the_checkpoint_is_told_of_where_nothing_is_left_to_compare() {
        let said = |later, is_known, has_unseen| {
            Without { place: place("orders", 2), later, is_known, has_unseen }.notice()
        };
        let purged = said(60, true, false);
        assert!(purged.starts_with("partition 2 of the topic orders has no event any more"), "{purged}");
        assert!(purged.contains("60 messages came into it after this checkpoint"), "{purged}");
        assert!(said(0, true, false).ends_with("it is taken for this log's"));
        assert!(said(60, false, false).ends_with("It has had 60 messages"));
        assert!(said(60, true, true).contains("more messages that are no events"));
    }
}
