//! What is under way, and what has come back.

use std::collections::VecDeque;
use std::time::Instant;

use order_application::{BrokerError, Position};
use rdkafka::types::RDKafkaErrorCode as Code;
use uuid::Uuid;

use super::evidence::{Evidence, Mark};

/// Events whose acknowledgements are awaited. Those of several partitions come in any order.
pub(super) struct Outstanding {
    /// All up to here is acknowledged.
    acknowledged: Position,
    /// What comes after it.
    events: VecDeque<Sent>,
    evidence: Evidence,
    failure: Option<Failure>,
    /// When something came back last, or the first event went out after all had come back.
    moved: Instant,
}

struct Sent {
    id: Uuid,
    acknowledged: bool,
}

/// Why nothing more will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// A message was not delivered, and nothing else says why.
    Delivery {
        /// The first one.
        position: Position,
        code: Code,
        /// It only follows from another failure, which may still be told.
        consequence: bool,
    },
    /// Whatever else.
    Other(BrokerError),
}

impl Outstanding {
    pub(super) fn new(after: Position, evidence: Evidence) -> Self {
        Self { acknowledged: after, events: VecDeque::new(), evidence, failure: None, moved: Instant::now() }
    }

    /// All up to here is acknowledged.
    pub(super) fn acknowledged(&self) -> Position {
        self.acknowledged
    }

    /// How many events there are behind the first one that is not acknowledged, itself included.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Since when nothing has come back although something should. `None` while nothing is under way.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        (!self.events.is_empty()).then_some(self.moved)
    }

    /// Takes note of the next event, before it is sent.
    pub(super) fn sending(&mut self, id: Uuid) {
        if self.events.is_empty() {
            self.moved = Instant::now();
        }
        self.events.push_back(Sent { id, acknowledged: false });
    }

    /// Takes note of an acknowledgement. `true` when more is acknowledged without a gap than before. The offset is negative
    /// when the broker only says that it has had the message for long.
    pub(super) fn acknowledge(&mut self, position: Position, partition: i32, offset: i64) -> bool {
        let index = position.0.checked_sub(self.acknowledged.0 + 1).and_then(|i| usize::try_from(i).ok());
        let Some(sent) = index.and_then(|index| self.events.get_mut(index)) else { return false };
        if offset >= 0 && !self.evidence.acknowledge(partition, Mark { offset, id: sent.id }) {
            self.fail(Failure::Other(BrokerError::OutOfStep(format!(
                "partition {partition} has begun anew: it has given the offset {offset} to another message before"
            ))));
            return true;
        }
        sent.acknowledged = true;
        self.moved = Instant::now();
        let before = self.acknowledged;
        while self.events.front().is_some_and(|sent| sent.acknowledged) {
            self.events.pop_front();
            self.acknowledged = self.acknowledged.plus(1);
        }
        self.acknowledged > before
    }

    /// The first failure counts, and of messages that were refused together the first. Consequences give way to causes.
    pub(super) fn fail(&mut self, failure: Failure) {
        let better = match (&self.failure, &failure) {
            (None, _) | (Some(Failure::Delivery { consequence: true, .. }), Failure::Other(_)) => true,
            (
                Some(Failure::Delivery { position: known, code: known_code, consequence: of_another }),
                Failure::Delivery { position, code, consequence },
            ) => (*of_another && !consequence) || (code == known_code && position < known),
            (Some(Failure::Other(_)), _) => false,
            (Some(Failure::Delivery { consequence: false, .. }), Failure::Other(_)) => false,
        };
        if better {
            self.failure = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(events: u64) -> Outstanding {
        let mut outstanding = Outstanding::new(Position(10), Evidence::default());
        (1..=events).for_each(|n| outstanding.sending(Uuid::from_u128(u128::from(n))));
        outstanding
    }

    fn refused(position: u64) -> Failure {
        Failure::Delivery {
            position: Position(position),
            code: Code::MessageSizeTooLarge,
            consequence: false,
        }
    }

    fn purged(position: u64) -> Failure {
        Failure::Delivery { position: Position(position), code: Code::PurgeQueue, consequence: true }
    }

    #[test]
    fn only_what_has_no_gap_before_it_is_acknowledged() {
        let mut outstanding = sent(4);
        assert!(!outstanding.acknowledge(Position(12), 1, 0));
        assert!(!outstanding.acknowledge(Position(13), 0, 0));
        assert_eq!((outstanding.acknowledged(), outstanding.len()), (Position(10), 4));
        assert!(outstanding.acknowledge(Position(11), 1, 1));
        assert_eq!((outstanding.acknowledged(), outstanding.len()), (Position(13), 1));
        assert!(outstanding.acknowledge(Position(14), 0, 1));
        assert_eq!((outstanding.acknowledged(), outstanding.len()), (Position(14), 0));
        assert!(!outstanding.acknowledge(Position(15), 0, 2), "was never sent");
        assert!(!outstanding.acknowledge(Position(3), 0, 2), "was acknowledged before");
    }

    #[test]
    fn an_acknowledgement_without_an_offset_is_one() {
        let mut outstanding = sent(2);
        assert!(outstanding.acknowledge(Position(11), 0, 7));
        assert!(outstanding.acknowledge(Position(12), 0, -1001));
        assert_eq!(outstanding.failure(), None);
        assert_eq!(outstanding.evidence().partitions[&0].last.offset, 7);
    }

    #[test]
    fn a_partition_that_begins_anew_ends_it() {
        let mut outstanding = sent(3);
        assert!(outstanding.acknowledge(Position(11), 0, 5));
        assert!(outstanding.acknowledge(Position(12), 0, 0), "somebody has to look");
        assert!(matches!(outstanding.failure(), Some(Failure::Other(BrokerError::OutOfStep(_)))));
        assert_eq!(outstanding.acknowledged(), Position(11));
    }

    #[test]
    fn the_cause_is_told_and_not_what_follows_from_it() {
        let mut outstanding = sent(9);
        for failure in [purged(14), purged(13), refused(12), purged(11), refused(15)] {
            outstanding.fail(failure);
        }
        assert_eq!(outstanding.failure(), Some(&refused(12)));
    }

    #[test]
    fn of_messages_that_were_refused_together_the_first_is_told() {
        let mut outstanding = sent(9);
        for position in [13, 12, 14] {
            outstanding.fail(refused(position));
        }
        assert_eq!(outstanding.failure(), Some(&refused(12)));
        outstanding.fail(Failure::Other(BrokerError::Unavailable(String::new())));
        assert_eq!(outstanding.failure(), Some(&refused(12)));
    }
}
