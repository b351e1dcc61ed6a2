//! Opening a publication.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::{Broker, BrokerError, Checkpoint, Opened, Position};
use tokio::runtime::Handle;

use super::background::in_background;
use super::evidence::Evidence;
use super::options::KafkaOptions;
use super::outstanding::Outstanding;
use super::probe::Probe;
use super::producer::{Producer, Shared, producer};
use super::publication::KafkaPublication;
use super::topic::ensure;
use super::verify::{Verified, verify};

/// Apache Kafka as a broker that takes events.
///
/// Each event is one message of the topic, keyed by its order: the events of an order are in one partition, in their order.
/// The producer is idempotent and gives up nothing by itself. When something was refused or lost all the same, it sends
/// nothing more, and a new one goes on from the checkpoint.
pub struct KafkaBroker {
    options: Arc<KafkaOptions>,
    source: Arc<str>,
}

impl KafkaBroker {
    /// A broker that nobody has talked to yet. `event_source` is the events' attribute `source`.
    pub fn new(options: KafkaOptions, event_source: &str) -> Self {
        Self { options: Arc::new(options), source: event_source.into() }
    }
}

#[async_trait]
impl Broker for KafkaBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        let (options, source) = (Arc::clone(&self.options), Arc::clone(&self.source));
        let (checkpoint, runtime) = (checkpoint.clone(), Handle::current());
        let Ready { producer, shared, resume_after } =
            in_background(move || open(&options, &source, &checkpoint, &runtime)).await?;
        let publication = KafkaPublication::new(
            producer,
            shared,
            &self.options.topic,
            Arc::clone(&self.source),
            resume_after,
        );
        Ok(Opened { publication: Box::new(publication), resume_after, resume_event: None })
    }
}

struct Ready {
    producer: Arc<Producer>,
    shared: Arc<Shared>,
    resume_after: Position,
}

fn open(
    options: &KafkaOptions,
    source: &str,
    checkpoint: &Checkpoint,
    runtime: &Handle,
) -> Result<Ready, BrokerError> {
    let probe = Probe::new(options)?;
    let topic = ensure(options, &probe, runtime)?;
    let evidence = checkpoint.evidence.as_deref().and_then(Evidence::read).unwrap_or_default();
    let Verified { resume_after, evidence, lost } =
        verify(&probe, source, topic.partitions, evidence, checkpoint.position)?;
    if !lost.is_empty() {
        tracing::warn!(
            topic = options.topic, %resume_after,
            "Kafka no longer has what it had acknowledged: {}", lost.join("; ")
        );
    }
    let shared = Arc::new(Shared::new(Outstanding::new(resume_after, evidence)));
    let producer = Arc::new(producer(options, Arc::clone(&shared), topic.max_message_bytes)?);
    Ok(Ready { producer, shared, resume_after })
}
