//! Opening a publication.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::{Broker, BrokerError, Checkpoint, Opened, Position};

use super::background::in_background;
use super::options::KafkaOptions;
use super::probe::Probe;
use super::producer::producer;
use super::publication::KafkaPublication;
use super::resumption::{KafkaResumption, resume};
use super::topic::find_or_make;
use super::window::KafkaWindow;

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
        let checkpoint = checkpoint.clone();
        let (publication, resume_after) = in_background(move || open(&options, source, &checkpoint)).await?;
        Ok(Opened { publication: Box::new(publication), resume_after, resume_event: None })
    }
}

fn open(
    options: &KafkaOptions,
    source: Arc<str>,
    checkpoint: &Checkpoint,
) -> Result<(KafkaPublication, Position), BrokerError> {
    let probe = Probe::new(options)?;
    let topic = find_or_make(options, &probe)?;
    let KafkaResumption { after, evidence, lost } = resume(&probe, &source, topic.partitions, checkpoint)?;
    if !lost.is_empty() {
        tracing::warn!(
            topic = options.topic, %after,
            "Kafka no longer has what it had acknowledged: {}", lost.join("; ")
        );
    }
    let producer = producer(options, KafkaWindow::new(after, evidence), topic.max_message_bytes)?;
    Ok((KafkaPublication::new(producer, &options.topic, source), after))
}
