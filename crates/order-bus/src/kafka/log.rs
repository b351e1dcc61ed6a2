//! Reading a topic, for a replica.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::{BrokerError, BrokerLog, BrokerReader};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::background::in_background;
use super::client::{Observer, consumer_settings, not_created};
use super::failure::failure;
use super::options::KafkaOptions;
use super::probe::{Probe, Topic};
use super::reader::KafkaReader;

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
        let bookmark = bookmark.map(Bookmark::read).transpose()?;
        let reader = in_background(move || open(&options, bookmark.as_ref())).await?;
        Ok(Box::new(reader))
    }
}

/// From where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bookmark {
    pub(super) topic: String,
    /// Of each partition the offset that reading goes on with; `None`: from its beginning.
    pub(super) offsets: Vec<Option<i64>>,
}

impl Bookmark {
    fn read(text: &str) -> Result<Self, BrokerError> {
        serde_json::from_str(text)
            .map_err(|_| BrokerError::Misconfigured("the bookmark is none of a Kafka topic".to_owned()))
    }

    pub(super) fn write(&self) -> Box<str> {
        #[expect(clippy::expect_used, reason = "a text and a list of numbers: all of it is JSON")]
        serde_json::to_string(self).expect("a bookmark is JSON").into()
    }
}

fn open(options: &KafkaOptions, bookmark: Option<&Bookmark>) -> Result<KafkaReader, BrokerError> {
    let probe = Probe::new(options)?;
    let topic = &options.topic;
    let partitions = match probe.topic()? {
        Topic::Ready { partitions } => partitions,
        Topic::Missing => return Err(BrokerError::Unavailable(format!("there is no topic {topic}"))),
        Topic::Incomplete => {
            return Err(BrokerError::Unavailable(format!(
                "the topic {topic} has partitions without a leader"
            )));
        }
    };
    let starts = (0..partitions)
        .map(|partition| start(&probe, topic, partition, bookmark))
        .collect::<Result<Vec<_>, _>>()?;
    let consumer = consumer(options)?;
    let assigning = |error| failure(&error, &format!("read {topic}"));
    let mut places = TopicPartitionList::with_capacity(starts.len());
    for (partition, start) in (0..).zip(&starts) {
        places.add_partition_offset(topic, partition, Offset::Offset(start.from)).map_err(assigning)?;
    }
    consumer.assign(&places).map_err(assigning)?;
    KafkaReader::start(Arc::new(consumer), topic.as_str().into(), &starts)
}

/// Where reading a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) from: i64,
    /// What a bookmark says that is made before anything is delivered.
    pub(super) bookmarked: Option<i64>,
}

fn start(
    probe: &Probe,
    topic: &str,
    partition: i32,
    bookmark: Option<&Bookmark>,
) -> Result<Start, BrokerError> {
    let there = probe.watermarks(partition)?;
    let index = usize::try_from(partition).ok();
    let wanted = bookmark
        .filter(|bookmark| bookmark.topic == topic)
        .and_then(|bookmark| *bookmark.offsets.get(index?)?);
    if bookmark.is_some_and(|bookmark| bookmark.topic != topic) && partition == 0 {
        tracing::warn!(topic, "the bookmark is one of another topic: Kafka is read from the beginning");
    }
    Ok(match wanted {
        Some(next) if next > there.high => {
            tracing::warn!(
                topic,
                partition,
                bookmark = next,
                end = there.high,
                "Kafka's partition ends before the bookmark: it is another one, and read from its beginning"
            );
            Start { from: there.low, bookmarked: None }
        }
        Some(next) => Start { from: next.max(there.low), bookmarked: Some(next) },
        None => Start { from: there.low, bookmarked: None },
    })
}

fn consumer(options: &KafkaOptions) -> Result<BaseConsumer<Observer>, BrokerError> {
    let mut config = consumer_settings(options);
    config
        .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string())
        .set("queued.min.messages", READY_MESSAGES.to_string())
        // Librdkafka looks for room after so long.
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.wait.max.ms", "100");
    BaseConsumer::from_config_and_context(&config, Observer::default()).map_err(|error| not_created(&error))
}
