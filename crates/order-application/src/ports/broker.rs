//! Message brokers: where the relay publishes the log to, and where a replica reads it from.
//!
//! A broker is a copy, the store is the truth. Each message is one event as a CloudEvent in the protocol's binary mode
//! ([`crate::cloud_event`]), and names the event before it in the log (`previousid`). Delivery is at least once with stable ids;
//! for each order, first occurrences come in the order of its versions.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::checkpoints::Checkpoint;
use crate::cloud_event::PublishedEvent;
use crate::event::{Position, RecordedEvent};
use crate::service::MAX_EVENT_BYTES;

/// A broker that takes events.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Connects, makes the stream or topic if there is none, and finds out after which position to go on.
    ///
    /// If the checkpoint has evidence, the broker's content is compared with it. A broker that forgot something goes on
    /// after what it still has, which [`Opened::resume_after`] tells by being before the checkpoint. Without evidence
    /// everything after the checkpoint is published, as far as [`Opened::found`] is of this log.
    ///
    /// # Errors
    /// See [`BrokerError`]. MUST come to an end within seconds, also when nobody answers.
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError>;
}

/// The beginning of a publication.
pub struct Opened {
    /// The way in.
    pub publication: Box<dyn Publication>,
    /// The first event to publish is the one after this position.
    pub resume_after: Position,
    /// Events that the broker has, whoever published them. Nothing may be published unless the log has them all: others are
    /// another log's. MUST have the last event of each part of the broker, unless that has none any more. Where own events
    /// may lie behind somebody else's, it MUST also have those that the evidence does not tell of, within a bound. Messages
    /// that are no events hide nothing; where there are too many of them, and there is no evidence, opening MUST fail as
    /// [`BrokerError::Misconfigured`].
    pub found: Vec<FoundEvent>,
}

/// An event that a broker has, or has acknowledged once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// Where it is, in words that a sentence may begin with: `the stream ORDERS`.
    pub place: Arc<str>,
    /// Its position in the log that it is of.
    pub position: Position,
    /// Its id.
    pub id: Uuid,
}

/// What the largest event comes to as a message, in bytes: its data, and room for its attributes.
pub const MAX_MESSAGE_BYTES: usize = MAX_EVENT_BYTES + 16 * 1024;

/// Publishing to a broker, until something goes wrong: then open it again.
///
/// Whoever publishes sees to it that the window of unacknowledged events stays bounded.
#[async_trait]
pub trait Publication: Send {
    /// Sends events, which MUST continue what was sent before without a gap, and does not wait for acknowledgements.
    /// `previous_id` is the id of the event at the position before the first of them; `None` at the first position.
    /// Each message MUST carry the id of the event before it.
    ///
    /// A broker MUST NOT take an event while an earlier one of the same order has been refused or lost on the way. Where
    /// somebody else's event lies among those that are acknowledged, the publication MUST end with
    /// [`BrokerError::OutOfStep`], and the evidence MUST NOT tell of what lies behind it.
    ///
    /// # Errors
    /// See [`BrokerError`]. Some of the events may have been sent.
    async fn publish(
        &mut self,
        previous_id: Option<Uuid>,
        events: &[RecordedEvent],
    ) -> Result<(), BrokerError>;

    /// Waits until more has been acknowledged, and answers with the position up to which *all* is. Cancelling the wait
    /// loses nothing. While nothing is under way it waits.
    ///
    /// # Errors
    /// See [`BrokerError`].
    async fn acknowledged(&mut self) -> Result<Position, BrokerError>;

    /// What the broker has acknowledged, for a later comparison. Belongs to the position that
    /// [`acknowledged`](Self::acknowledged) answered with last.
    fn evidence(&self) -> Box<str>;

    /// Compares the broker's content with what it has acknowledged.
    ///
    /// # Errors
    /// [`BrokerError::OutOfStep`] when it forgot something, or has events that were not sent here; otherwise see
    /// [`BrokerError`].
    async fn check(&mut self) -> Result<(), BrokerError>;
}

/// A broker as a replica reads it.
#[async_trait]
pub trait BrokerLog: Send + Sync + 'static {
    /// Reads on from a bookmark, or from the beginning of what the broker still has. A bookmark of another broker MUST mean
    /// the beginning.
    ///
    /// # Errors
    /// See [`BrokerError`]. MUST come to an end within seconds, also when nobody answers.
    async fn open(&self, bookmark: Option<&str>) -> Result<Box<dyn BrokerReader>, BrokerError>;
}

/// Reading a broker's messages, until something goes wrong: then open it again.
#[async_trait]
pub trait BrokerReader: Send {
    /// In how many parts the messages come; each has its own order. Numbered from 0.
    fn partitions(&self) -> usize;

    /// The next messages, at least one; waits for them. Those of one partition come in its order. Cancelling the wait
    /// loses nothing. How many are fetched ahead MUST be bounded.
    ///
    /// # Errors
    /// See [`BrokerError`].
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError>;

    /// Delivers no more of a partition while it is paused; then it goes on where it was.
    ///
    /// # Errors
    /// See [`BrokerError`].
    fn set_paused(&mut self, partition: usize, is_paused: bool) -> Result<(), BrokerError>;

    /// How many messages the broker has that were not delivered here, as far as it is known.
    ///
    /// # Errors
    /// See [`BrokerError`].
    async fn behind(&mut self) -> Result<u64, BrokerError>;

    /// A bookmark from which the next reader delivers, of each partition, the messages from the given offset on: as
    /// many offsets as there are partitions, `None` where nothing was delivered yet.
    fn bookmark(&self, next_offsets: &[Option<u64>]) -> Box<str>;
}

/// A message from a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The partition it came from.
    pub partition: usize,
    /// Its place there.
    pub offset: u64,
    /// The event; what is wrong with it, if it cannot be read as one.
    pub event: Result<PublishedEvent, String>,
}

/// What a broker or its adapter has to say against going on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It is away, or asks for patience: try again soon.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody has to change a setting, here or there; the text says which. Trying again later is harmless.
    #[error("{0}")]
    Misconfigured(String),
    /// It does not take this event, now or later, unless somebody changes a setting; the text says which.
    #[error("the event at position {position} is refused: {why}")]
    Refused {
        /// The event.
        position: Position,
        /// Why, and what to do.
        why: String,
    },
    /// Its content is not what was expected: somebody else publishes, or it has lost something. Open it again from the
    /// checkpoint.
    #[error("{0}")]
    OutOfStep(String),
}
