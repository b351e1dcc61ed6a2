//! Opening a publication.

use std::sync::{Arc, Once};

use async_trait::async_trait;
use order_application::{Broker, BrokerError, Checkpoint, FoundEvent, Opened};

use super::client::{Connection, OPEN_TIMEOUT, within};
use super::options::NatsOptions;
use super::publication::NatsPublication;
use super::resumption::{Evidence, Found, NatsResumption, resume};
use super::stream;

/// NATS JetStream as a broker that takes events.
///
/// Every message names the stream's last sequence before it (`Nats-Expected-Last-Sequence`), and all but the first of a
/// publication the id of the message before it (`Nats-Expected-Last-Msg-Id`). So events lie in the stream in the log's
/// order and without gaps, whatever is lost on the way; and of several that publish at once only one goes on. The
/// sequence alone would not do: where another one has published as many messages as were refused, the rest would fit.
/// And so the last event tells for all before it whose they are.
///
/// A message's id (`Nats-Msg-Id`) is of its publication, so that the stream takes nothing for a duplicate: what is published
/// again is meant to come again. The event's own id is `ce-id`.
pub struct NatsBroker {
    options: Arc<NatsOptions>,
    source: Arc<str>,
    /// Of what is peculiar about the stream.
    warned: Once,
}

impl NatsBroker {
    /// A broker that nobody has talked to yet. `event_source` is the events' attribute `source`.
    pub fn new(options: NatsOptions, event_source: &str) -> Self {
        Self { options: Arc::new(options), source: event_source.into(), warned: Once::new() }
    }

    async fn connect(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        let options = &self.options;
        let connection = Connection::open(options).await?;
        let stream = stream::find_or_make(options, &connection, &self.warned).await?;
        let evidence = Evidence::of(checkpoint);
        let found = stream::found(options, &stream, evidence.known()).await?;
        let resumption = resume(checkpoint.position, evidence, found);
        if let Some(notice) = &resumption.notice {
            tracing::warn!("the stream {} {notice}", options.stream);
        }
        let resume_after = resumption.after;
        let found_events = found_events(&options.stream, &found, &resumption);
        let (options, source) = (Arc::clone(options), Arc::clone(&self.source));
        let begun = NatsPublication::begin(options, source, connection, stream, &found, &resumption);
        let publication = Box::new(begun.await?);
        Ok(Opened { publication, resume_after, found: found_events })
    }
}

#[async_trait]
impl Broker for NatsBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        within(OPEN_TIMEOUT, &self.options, self.connect(checkpoint)).await
    }
}

/// What tells whose events the stream has.
fn found_events(stream: &str, found: &Found, resumption: &NatsResumption) -> Vec<FoundEvent> {
    let stream = format!("the stream {stream}");
    if found.last_event.is_none() && found.last_sequence > 0 {
        tracing::warn!(
            "{stream} has no event any more that could be compared with the log: it is taken for this log's"
        );
    }
    let acknowledged = resumption.acknowledged.map(|event| event.found(&stream));
    let last = found.last_event.map(|last| FoundEvent {
        place: stream.as_str().into(),
        position: last.position,
        id: last.id,
    });
    last.into_iter().chain(acknowledged).collect()
}
