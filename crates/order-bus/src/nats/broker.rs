//! The way to a publication.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::{Broker, BrokerError, Checkpoint, Opened};

use super::connection::{Connection, OPEN_TIMEOUT, within};
use super::evidence::{Resumption, resume};
use super::inspection::Warnings;
use super::options::NatsOptions;
use super::publication::NatsPublication;
use super::stream::OpenStream;

/// A JetStream stream as a broker.
///
/// Every message names the stream's last sequence before it (`Nats-Expected-Last-Sequence`), and all but the first of a
/// publication the id of the message before it (`Nats-Expected-Last-Msg-Id`). So events lie in the stream in the log's
/// order and without gaps, whatever is lost on the way; and of several that publish at once only one goes on. The
/// sequence alone would not do: where another one has published as many messages as were refused, the rest would fit.
pub struct NatsBroker {
    shared: Arc<Shared>,
}

/// What all publications have in common.
pub(super) struct Shared {
    pub(super) options: NatsOptions,
    /// The CloudEvents' `source`.
    pub(super) source: String,
    warnings: Warnings,
}

impl NatsBroker {
    /// Does not connect yet. `event_source` becomes the attribute `source` of the CloudEvents.
    pub fn new(options: NatsOptions, event_source: impl Into<String>) -> Self {
        let shared = Shared { options, source: event_source.into(), warnings: Warnings::default() };
        Self { shared: Arc::new(shared) }
    }
}

#[async_trait]
impl Broker for NatsBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        within(OPEN_TIMEOUT, &self.shared.options, open(&self.shared, checkpoint)).await
    }
}

async fn open(shared: &Arc<Shared>, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
    let options = &shared.options;
    let connection = Connection::open(options).await?;
    let stream = OpenStream::make(options, &connection, &shared.warnings).await?;
    let found = stream.found(options).await?;
    let resumption = resume(checkpoint, found);
    if let Some(notice) = &resumption.notice {
        tracing::warn!("the stream {}: {notice}", options.stream);
    }

    let Resumption { after: resume_after, event: resume_event, .. } = resumption;
    let publication = NatsPublication::begin(shared, connection, stream, &found, &resumption).await?;
    Ok(Opened { publication: Box::new(publication), resume_after, resume_event })
}
