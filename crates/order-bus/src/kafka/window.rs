//! What was sent to the topic, what has come back, and why nothing more will.

use std::collections::{BTreeMap, BTreeSet};

use order_application::{BrokerError, Position};
use rdkafka::types::RDKafkaErrorCode as Code;
use uuid::Uuid;

use super::evidence::{KafkaEvidence, Mark};
use super::gap::Gap;
use super::milestones::{self, Milestone};
use crate::send_window::SendWindow;

pub(super) struct KafkaWindow {
    pub(super) events: SendWindow,
    evidence: KafkaEvidence,
    /// Of each partition the offset up to which it is known what is there.
    known_to: BTreeMap<i32, i64>,
    /// What lies before acknowledged messages, and was not sent here.
    gaps: Vec<Gap>,
    /// The evidence as it was before the first gap that nobody has looked into yet. What lies behind a gap is no evidence:
    /// whoever opens the topic next has to find what is in it.
    before_gaps: Option<KafkaEvidence>,
    /// The next milestone, on its way: its marks move until everything up to its position is acknowledged.
    coming: Option<Milestone>,
    /// The last event that is acknowledged, whatever comes before it.
    highest: Position,
    /// Partitions whose last message has an offset that was not told.
    unplaced: BTreeSet<i32>,
    failure: Option<PublishFailure>,
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublishFailure {
    pub(super) position: Position,
    pub(super) code: Code,
    pub(super) reason: String,
    /// It only follows from another failure, which may still be told.
    pub(super) is_consequence: bool,
}

impl KafkaWindow {
    /// `ends` is where the partitions end, up to where it is known what they have.
    pub(super) fn new(after: Position, evidence: KafkaEvidence, ends: BTreeMap<i32, i64>) -> Self {
        Self {
            events: SendWindow::new(after, evidence.event),
            evidence,
            known_to: ends,
            gaps: Vec::new(),
            before_gaps: None,
            coming: None,
            highest: after,
            unplaced: BTreeSet::new(),
            failure: None,
        }
    }

    pub(super) fn evidence(&self) -> KafkaEvidence {
        let known = self.before_gaps.as_ref().unwrap_or(&self.evidence);
        KafkaEvidence { event: self.events.last_event(), ..known.clone() }
    }

    /// The partitions, with the offset up to which it is known what is there.
    pub(super) fn known_to(&self) -> &BTreeMap<i32, i64> {
        &self.known_to
    }

    /// What has to be looked into before anything more counts as acknowledged.
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// In so many of the gaps, from the first on, there is no event.
    pub(super) fn looked_into(&mut self, gaps: usize) {
        self.gaps.drain(..gaps);
        if self.gaps.is_empty() {
            self.before_gaps = None;
        }
    }

    /// It is known what a partition has up to this offset.
    pub(super) fn looked_up_to(&mut self, partition: i32, offset: i64) {
        self.known_to.insert(partition, offset);
    }

    pub(super) fn failure(&self) -> Option<&PublishFailure> {
        self.failure.as_ref()
    }

    /// Takes note of the next event, before it is sent: its acknowledgement may be quick.
    pub(super) fn sending(&mut self, position: Position, id: Uuid) -> Result<(), BrokerError> {
        self.events.check_next(position)?;
        self.events.push(id);
        Ok(())
    }

    /// Takes note of an acknowledgement. `true` when more is acknowledged without a gap than before, or it has failed. The
    /// offset is negative when the broker only says that it has had the message for long.
    pub(super) fn acknowledge(&mut self, position: Position, partition: i32, offset: i64) -> bool {
        // What comes behind a loss is no evidence: the partition could be taken for what it was.
        if self.failure.as_ref().is_some_and(|failure| failure.code == Code::LogTruncation) {
            return false;
        }
        let before = self.events.acknowledged();
        let Some(id) = self.events.awaited(position) else { return false };
        self.note_gap(partition, offset);
        if offset >= 0 && !self.evidence.acknowledge(partition, Mark { offset, id }) {
            self.fail(PublishFailure {
                position,
                code: Code::LogTruncation,
                reason: format!(
                    "partition {partition} has begun anew: it has given the offset {offset} to another message before"
                ),
                is_consequence: false,
            });
            return true;
        }
        self.events.acknowledge(position);
        self.note_milestone(position, partition, (offset >= 0).then_some(Mark { offset, id }));
        self.events.acknowledged() > before
    }

    /// Moves the marks of the next milestone, which is one as soon as everything up to its position is acknowledged.
    fn note_milestone(&mut self, position: Position, partition: i32, mark: Option<Mark>) {
        self.highest = self.highest.max(position);
        let coming = self.coming.as_mut().filter(|coming| position.0 <= coming.position);
        if let Some(mark) = mark {
            self.unplaced.remove(&partition);
            coming.map(|coming| coming.marks.insert(partition, mark));
        } else {
            self.unplaced.insert(partition);
            self.coming = None;
        }
        let acknowledged = self.events.acknowledged().0;
        let is_due = milestones::is_due(&self.evidence.milestones, acknowledged);
        if self.coming.is_none() && self.unplaced.is_empty() && is_due {
            self.coming =
                Some(Milestone { position: self.highest.0, marks: self.evidence.partitions.clone() });
        }
        if let Some(passed) = self.coming.take_if(|coming| coming.position <= acknowledged) {
            milestones::add(&mut self.evidence.milestones, passed);
        }
    }

    /// Notes what lies between an acknowledged message and what is known of its partition.
    fn note_gap(&mut self, partition: i32, offset: i64) {
        let known_to = self.known_to.entry(partition).or_default();
        if offset > *known_to {
            self.before_gaps.get_or_insert_with(|| self.evidence.clone());
            self.gaps.push(Gap { partition, offsets: *known_to..offset });
        }
        // Without an offset, it is the next one.
        *known_to = if offset >= 0 { offset + 1 } else { *known_to + 1 };
    }

    /// The first failure counts, and of messages that were refused together the first. Consequences give way to causes.
    pub(super) fn fail(&mut self, failure: PublishFailure) {
        let says_more = self.failure.as_ref().is_none_or(|known| {
            (known.is_consequence && !failure.is_consequence)
                || (failure.code == known.code && failure.position < known.position)
        });
        if says_more {
            self.failure = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(events: u64) -> KafkaWindow {
        let ends = BTreeMap::from([(0, 0), (1, 0)]);
        let mut window = KafkaWindow::new(Position(10), KafkaEvidence::default(), ends);
        for position in 11..11 + events {
            window.sending(Position(position), Uuid::from_u128(u128::from(position))).unwrap();
        }
        window
    }

    fn failure(position: u64, code: Code) -> PublishFailure {
        let is_consequence = code == Code::PurgeQueue;
        PublishFailure { position: Position(position), code, reason: String::new(), is_consequence }
    }

    fn refused(position: u64) -> PublishFailure {
        failure(position, Code::MessageSizeTooLarge)
    }

    #[test]
    fn an_acknowledgement_without_an_offset_is_one() {
        let mut window = sent(2);
        assert!(window.acknowledge(Position(11), 0, 0));
        assert!(window.acknowledge(Position(12), 0, -1001));
        assert_eq!(window.failure(), None);
        assert_eq!(window.evidence().partitions[&0].offset, 0);
    }

    #[test]
    fn an_acknowledgement_behind_a_gap_says_nothing_new() {
        let mut window = sent(2);
        assert!(!window.acknowledge(Position(12), 1, 0));
        assert!(window.acknowledge(Position(11), 0, 0));
        assert_eq!(window.events.acknowledged(), Position(12));
        assert!(!window.acknowledge(Position(12), 1, 0), "it came again");
        assert_eq!(window.failure(), None);
    }

    #[test]
    fn a_partition_that_begins_anew_ends_it() {
        let mut window = sent(3);
        assert!(window.acknowledge(Position(11), 0, 5));
        assert!(window.acknowledge(Position(12), 0, 0), "somebody has to look");
        assert!(window.failure().unwrap().reason.contains("has begun anew"));
        assert_eq!(window.events.acknowledged(), Position(11));
    }

    #[test]
    fn what_comes_behind_a_loss_is_no_evidence() {
        let mut window = sent(5);
        window.acknowledge(Position(12), 0, 1);
        window.looked_into(1);
        let before = window.evidence();
        assert!(window.acknowledge(Position(11), 1, 0), "all before it is");
        for (position, offset) in [(13, 0), (14, 1), (15, 2)] {
            window.acknowledge(Position(position), 0, offset);
        }
        assert_eq!(window.events.acknowledged(), Position(12));
        assert_eq!(window.evidence().partitions[&0], before.partitions[&0]);
    }

    #[test]
    fn a_milestone_has_everything_up_to_its_position_and_nothing_later() {
        let mut window = sent(6);
        // Of one partition all is acknowledged before anything of the other.
        for (position, offset) in [(12, 0), (14, 1), (16, 2)] {
            window.acknowledge(Position(position), 1, offset);
        }
        assert_eq!(window.evidence().milestones, []);
        for (position, offset) in [(11, 0), (13, 1), (15, 2)] {
            window.acknowledge(Position(position), 0, offset);
        }
        let [passed] = &window.evidence().milestones[..] else { panic!("{:?}", window.evidence()) };
        let offsets: Vec<_> = passed.marks.values().map(|mark| mark.offset).collect();
        let up_to: BTreeMap<u64, [i64; 2]> = BTreeMap::from([(12, [0, 0]), (16, [2, 2])]);
        assert_eq!(offsets, up_to[&passed.position]);
    }

    #[test]
    fn what_lies_behind_a_gap_is_no_evidence_until_somebody_has_looked_into_it() {
        let mut window = sent(5);
        assert!(window.acknowledge(Position(11), 0, 0));
        let before = window.evidence();
        assert!(window.acknowledge(Position(12), 0, 4));
        assert!(window.acknowledge(Position(13), 1, 2));
        let gaps = [Gap { partition: 0, offsets: 1..4 }, Gap { partition: 1, offsets: 0..2 }];
        assert_eq!(window.gaps(), gaps);
        window.looked_into(1);
        assert_eq!(window.gaps(), &gaps[1..]);
        assert_eq!(window.evidence().partitions, before.partitions);
        window.looked_into(1);
        let after = window.evidence().partitions;
        assert_eq!((after[&0].offset, after[&1].offset), (4, 2));
        assert!(window.acknowledge(Position(14), 0, 5) && window.gaps().is_empty());
    }

    #[test]
    fn messages_whose_offsets_are_not_told_are_no_gap() {
        let mut window = sent(3);
        assert!(window.acknowledge(Position(11), 0, 0));
        assert!(window.acknowledge(Position(12), 0, -1001));
        assert!(window.acknowledge(Position(13), 0, 2));
        assert_eq!(window.gaps(), []);
    }

    #[test]
    fn the_cause_is_told_and_not_what_follows_from_it() {
        let mut window = sent(9);
        let purged = |position| failure(position, Code::PurgeQueue);
        for failure in [purged(14), purged(13), refused(12), purged(11), refused(15)] {
            window.fail(failure);
        }
        assert_eq!(window.failure(), Some(&refused(12)));
    }

    #[test]
    fn of_messages_that_were_refused_together_the_first_is_told() {
        let mut window = sent(9);
        for position in [13, 12, 14] {
            window.fail(refused(position));
        }
        assert_eq!(window.failure(), Some(&refused(12)));
        window.fail(failure(11, Code::LogTruncation));
        assert_eq!(window.failure(), Some(&refused(12)));
    }
}
