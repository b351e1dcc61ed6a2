//! Opening a publication.

use std::sync::{Arc, Once};

use async_trait::async_trait;
use order_application::{Broker, BrokerError, Checkpoint, Opened};

use super::background::in_background;
use super::options::KafkaOptions;
use super::probe::Probe;
use super::producer::producer;
use super::publication::KafkaPublication;
use super::resumption::{Evidence, KafkaResumption, resume};
use super::topic::{ReadyTopic, find_or_make};
use super::window::KafkaWindow;

/// Apache Kafka as a broker that takes events.
///
/// Each event is one message of the topic, keyed by its order: the events of an order are in one partition, in their order.
/// The producer is idempotent and gives up nothing by itself. When something was refused or lost all the same, it sends
/// nothing more, and a new one goes on from the checkpoint.
pub struct KafkaBroker {
    options: Arc<KafkaOptions>,
    source: Arc<str>,
    /// Of what is peculiar about the topic.
    warned: Arc<Once>,
}

impl KafkaBroker {
    /// A broker that nobody has talked to yet. `event_source` is the events' attribute `source`.
    pub fn new(options: KafkaOptions, event_source: &str) -> Self {
        Self { options: Arc::new(options), source: event_source.into(), warned: Arc::new(Once::new()) }
    }
}

#[async_trait]
impl Broker for KafkaBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        let (options, source) = (Arc::clone(&self.options), Arc::clone(&self.source));
        let (checkpoint, warned) = (checkpoint.clone(), Arc::clone(&self.warned));
        in_background(move || open(&options, source, &checkpoint, &warned)).await
    }
}

fn open(
    options: &Arc<KafkaOptions>,
    source: Arc<str>,
    checkpoint: &Checkpoint,
    warned: &Once,
) -> Result<Opened, BrokerError> {
    let probe = Probe::new(options)?;
    let evidence = Evidence::of(checkpoint);
    let ReadyTopic { partitions, settings } =
        find_or_make(options, &probe, matches!(evidence, Evidence::Known(_)))?;
    warned.call_once(|| {
        for peculiarity in settings.peculiarities() {
            tracing::warn!("the topic {} {peculiarity}", options.topic);
        }
    });
    let KafkaResumption { after, evidence, lost, found, there } =
        resume(&probe, &options.topic, partitions, checkpoint.position, evidence)?;
    if !lost.is_empty() {
        tracing::warn!(
            topic = options.topic, %after,
            "Kafka no longer has what it had acknowledged: {}. Without a gap it has what comes up to the event {after}",
            lost.join("; ")
        );
    }
    let ends = there.into_iter().map(|(partition, offsets)| (partition, offsets.end)).collect();
    let producer = producer(options, KafkaWindow::new(after, evidence, ends), settings.max_message_bytes)?;
    let publication = Box::new(KafkaPublication::new(producer, Arc::clone(options), source, partitions));
    Ok(Opened { publication, resume_after: after, found })
}
