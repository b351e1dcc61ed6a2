//! Looking at a topic: what there is, and whether it is what it was.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use order_application::BrokerError;
use rdkafka::client::Client;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::client::{Observer, PATIENCE, consumer_settings, not_created};
use super::error::{NO_TOPIC, failed, failure};
use super::options::KafkaOptions;

/// The first wait for an answer; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How long to listen to complaints.
const COMPLAINTS: Duration = Duration::from_millis(10);

/// A consumer that looks here and there.
pub(super) struct Probe {
    consumer: BaseConsumer<Observer>,
    observer: Observer,
    topic: String,
}

impl Probe {
    pub(super) fn new(options: &KafkaOptions) -> Result<Self, BrokerError> {
        if let Some(files) = &options.tls {
            files.check()?;
        }
        let observer = Observer::default();
        let mut config = consumer_settings(options);
        // It reads a few messages, as a rule, and not what comes after them.
        config
            .set("enable.partition.eof", "true")
            .set("queued.min.messages", "1")
            // Otherwise it waits for a second where one of several partitions has come before the others.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.message.max.bytes", "262144")
            .set("fetch.wait.max.ms", "50");
        let consumer = BaseConsumer::from_config_and_context(&config, observer.clone())
            .map_err(|error| not_created(&error))?;
        Ok(Self { consumer, observer, topic: options.topic.clone() })
    }

    /// How many partitions the topic has, as soon as anybody answers. `None` if there is no topic.
    pub(super) fn partitions(&self) -> Result<Option<i32>, BrokerError> {
        let deadline = Instant::now() + PATIENCE;
        let mut wait = FIRST_WAIT;
        loop {
            let asked = self.consumer.fetch_metadata(Some(&self.topic), wait);
            // What librdkafka has to complain about comes this way. Polling for no time stops at its first line for the log.
            self.wait(COMPLAINTS);
            let error = match asked {
                Ok(metadata) => return partitions(&metadata),
                Err(error) => error,
            };
            tracing::debug!(target: "kafka", %error, "no metadata yet");
            if let Some(verdict) = self.observer.verdict() {
                return Err(verdict);
            }
            if Instant::now() >= deadline {
                return Err(self.observer.last_words());
            }
            wait = (wait * 2).min(deadline.saturating_duration_since(Instant::now())).max(FIRST_WAIT);
        }
    }

    /// Lets time pass, but not for nothing: something may have come in.
    pub(super) fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            drop(self.consumer.poll(left.max(Duration::from_millis(1))));
        }
    }

    /// The offsets that a partition has.
    pub(super) fn offsets(&self, partition: i32) -> Result<Range<i64>, BrokerError> {
        offsets(self.consumer.client(), &self.topic, partition, PATIENCE)
    }

    /// The offsets that each partition has.
    pub(super) fn all_offsets(&self, partitions: i32) -> Result<BTreeMap<i32, Range<i64>>, BrokerError> {
        (0..partitions).map(|partition| Ok((partition, self.offsets(partition)?))).collect()
    }

    /// Shows messages, of each partition from an offset on, until `take` wants no more of it, or the partition ends.
    pub(super) fn read(
        &self,
        from: &[(i32, i64)],
        mut take: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), BrokerError> {
        let reading = |error: KafkaError| failure(&error, &format!("cannot read from {}", self.topic));
        let mut places = TopicPartitionList::with_capacity(from.len());
        for (partition, offset) in from {
            places.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset)).map_err(reading)?;
        }
        let mut open: Vec<i32> = from.iter().map(|(partition, _)| *partition).collect();
        let deadline = Instant::now() + PATIENCE;
        self.consumer.assign(&places).map_err(reading)?;
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let done = match self.consumer.poll(left) {
                Some(Ok(message)) if open.contains(&message.partition()) => {
                    take(&message).is_break().then(|| message.partition())
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => Some(partition),
                // Librdkafka goes on by itself.
                Some(Ok(_) | Err(_)) => None,
                None => None,
            };
            open.retain(|partition| Some(*partition) != done);
            if Instant::now() >= deadline && !open.is_empty() {
                return Err(self.observer.last_words());
            }
        }
        self.consumer.unassign().map_err(reading)
    }
}

/// Asks a partition's leader which offsets it has. Blocks.
pub(super) fn offsets<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
    patience: Duration,
) -> Result<Range<i64>, BrokerError> {
    let offsets = client.fetch_watermarks(topic, partition, patience).map(|(low, high)| low..high);
    offsets.map_err(|error| failure(&error, &format!("cannot look at partition {partition} of {topic}")))
}

/// How many partitions a topic has, if somebody says so soon. Blocks.
pub(super) fn partitions_of<C: ClientContext>(client: &Client<C>, topic: &str) -> Option<i32> {
    partitions(&client.fetch_metadata(Some(topic), FIRST_WAIT).ok()?).ok()?
}

fn partitions(metadata: &Metadata) -> Result<Option<i32>, BrokerError> {
    let Some(topic) = metadata.topics().first() else { return Ok(None) };
    let name = topic.name();
    match topic.error().map(Code::from) {
        None | Some(Code::LeaderNotAvailable) => {}
        Some(code) if NO_TOPIC.contains(&code) => return Ok(None),
        Some(code) => return Err(failed(Some(code), &format!("the topic {name}: {code}"))),
    }
    if topic.partitions().is_empty() || topic.partitions().iter().any(|partition| partition.leader() < 0) {
        return Err(BrokerError::Unavailable(format!("the topic {name} has partitions without a leader")));
    }
    let partitions = i32::try_from(topic.partitions().len());
    partitions
        .map(Some)
        .map_err(|_| BrokerError::Misconfigured(format!("the topic {name} has too many partitions")))
}

pub(super) fn missing(topic: &str) -> BrokerError {
    BrokerError::Unavailable(format!("there is no topic {topic}"))
}
