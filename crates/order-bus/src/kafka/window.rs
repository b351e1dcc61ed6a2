//! What was sent to the topic, what has come back, and why nothing more will.

use order_application::{BrokerError, Position};
use rdkafka::types::RDKafkaErrorCode as Code;
use uuid::Uuid;

use super::evidence::{KafkaEvidence, Mark};
use crate::send_window::SendWindow;

pub(super) struct KafkaWindow {
    pub(super) events: SendWindow,
    evidence: KafkaEvidence,
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
    pub(super) fn new(after: Position, evidence: KafkaEvidence) -> Self {
        Self { events: SendWindow::new(after), evidence, failure: None }
    }

    pub(super) fn evidence(&self) -> &KafkaEvidence {
        &self.evidence
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
        let before = self.events.acknowledged();
        let Some(id) = self.events.awaited(position) else { return false };
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
        self.events.acknowledged() > before
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
        let mut window = KafkaWindow::new(Position(10), KafkaEvidence::default());
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
        assert!(window.acknowledge(Position(11), 0, 7));
        assert!(window.acknowledge(Position(12), 0, -1001));
        assert_eq!(window.failure(), None);
        assert_eq!(window.evidence().partitions[&0].last.offset, 7);
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
