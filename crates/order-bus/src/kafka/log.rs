//! Reading a topic, for a replica.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::{BrokerError, BrokerLog, BrokerReader};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::background::{DroppedInBackground, in_background};
use super::client::{Observer, consumer_settings, not_created};
use super::error::failure;
use super::options::KafkaOptions;
use super::probe::{Probe, missing};
use super::reader::{KafkaReader, PartitionOffsets};

/// Most KiB that are fetched ahead, and the fewest messages that librdkafka tries to have ready of a partition.
const FETCHED_AHEAD_KIB: usize = 32 * 1024;
const READY_MESSAGES: usize = 20_000;

/// Apache Kafka as a replica reads it: all partitions of the topic, without a consumer group.
pub struct KafkaLog {
    options: Arc<KafkaOptions>,
}

impl KafkaLog {
    /// A log that nobody has read yet.
    pub fn new(options: KafkaOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

#[async_trait]
impl BrokerLog for KafkaLog {
    async fn open(&self, bookmark: Option<&str>) -> Result<Box<dyn BrokerReader>, BrokerError> {
        let options = Arc::clone(&self.options);
        let bookmark = bookmark.map(str::to_owned);
        let reader = in_background(move || open(&options, bookmark.as_deref())).await?;
        Ok(Box::new(reader))
    }
}

fn open(options: &KafkaOptions, bookmark: Option<&str>) -> Result<KafkaReader, BrokerError> {
    let probe = Probe::new(options)?;
    let topic = &options.topic;
    let partitions = probe.partitions()?.ok_or_else(|| missing(topic))?;
    let bookmark = bookmark.and_then(|text| KafkaBookmark::read(text, topic));
    let partitions = (0..partitions)
        .map(|partition| start(&probe, topic, partition, bookmark.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let consumer = consumer(options)?;
    let assigning = |error| failure(&error, &format!("cannot read {topic}"));
    let mut places = TopicPartitionList::with_capacity(partitions.len());
    for (number, partition) in (0..).zip(&partitions) {
        let next = Offset::Offset(partition.next);
        places.add_partition_offset(topic, number, next).map_err(assigning)?;
    }
    consumer.assign(&places).map_err(assigning)?;
    let consumer = Arc::new(DroppedInBackground::new(consumer));
    Ok(KafkaReader { consumer, topic: topic.as_str().into(), partitions })
}

/// A partition as reading begins.
fn start(
    probe: &Probe,
    topic: &str,
    partition: i32,
    bookmark: Option<&KafkaBookmark>,
) -> Result<PartitionOffsets, BrokerError> {
    let there = probe.offsets(partition)?;
    let wanted = bookmark.zip(usize::try_from(partition).ok());
    let wanted = wanted.and_then(|(bookmark, index)| *bookmark.offsets.get(index)?);
    Ok(match wanted {
        Some(next) if next > there.end => {
            tracing::warn!(
                topic,
                partition,
                bookmark = next,
                end = there.end,
                "Kafka's partition ends before the bookmark: it is another one, and read from its beginning"
            );
            PartitionOffsets { next: there.start, bookmarked: None }
        }
        Some(next) => PartitionOffsets { next: next.max(there.start), bookmarked: Some(next) },
        None => PartitionOffsets { next: there.start, bookmarked: None },
    })
}

fn consumer(options: &KafkaOptions) -> Result<StreamConsumer<Observer>, BrokerError> {
    let mut config = consumer_settings(options);
    config
        .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string())
        .set("queued.min.messages", READY_MESSAGES.to_string())
        // Librdkafka looks for room after so long.
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.wait.max.ms", "100");
    StreamConsumer::from_config_and_context(&config, Observer::default()).map_err(|error| not_created(&error))
}

/// From where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KafkaBookmark {
    pub(super) topic: String,
    /// Of each partition the offset that reading goes on with; `None`: from its beginning.
    pub(super) offsets: Vec<Option<i64>>,
}

impl KafkaBookmark {
    fn read(text: &str, topic: &str) -> Option<Self> {
        let bookmark = serde_json::from_str(text).ok().filter(|bookmark: &Self| bookmark.topic == topic);
        if bookmark.is_none() {
            tracing::warn!(topic, "the bookmark is none of this topic: it is read from its beginning");
        }
        bookmark
    }
}
