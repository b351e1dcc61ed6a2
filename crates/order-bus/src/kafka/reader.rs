//! What a replica sees of a topic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use order_application::{BrokerError, BrokerReader, Delivery};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::mpsc;

use super::background::in_background;
use super::client::Observer;
use super::error::failure;
use super::fetch::{Fetched, fetch};
use super::log::KafkaBookmark;
use super::probe::watermarks;
use crate::json::to_json;

/// How long the brokers may take to say how much there is.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct KafkaReader {
    /// Dropped before `fetched`, whose thread has the consumer, too, and drops it at leisure.
    consumer: Arc<BaseConsumer<Observer>>,
    topic: Arc<str>,
    fetched: mpsc::Receiver<Fetched>,
    partitions: Vec<Partition>,
}

pub(super) struct Partition {
    /// What a bookmark says that is made before anything is delivered.
    bookmarked: Option<i64>,
    /// The offset that comes next.
    pub(super) next: i64,
    is_paused: bool,
    /// What had been fetched when it was paused: as much as is fetched ahead, at most.
    held: Vec<Delivery>,
}

impl Partition {
    pub(super) fn new(next: i64, bookmarked: Option<i64>) -> Self {
        Self { bookmarked, next, is_paused: false, held: Vec::new() }
    }
}

impl KafkaReader {
    /// Reads what the consumer is assigned to.
    pub(super) fn begin(
        consumer: BaseConsumer<Observer>,
        topic: &str,
        partitions: Vec<Partition>,
    ) -> Result<Self, BrokerError> {
        let (consumer, topic) = (Arc::new(consumer), Arc::from(topic));
        let fetched = fetch(Arc::clone(&consumer), Arc::clone(&topic))?;
        Ok(Self { consumer, topic, fetched, partitions })
    }

    fn partition(&mut self, partition: usize) -> Result<&mut Partition, BrokerError> {
        let topic = &self.topic;
        self.partitions.get_mut(partition).ok_or_else(|| {
            BrokerError::OutOfStep(format!(
                "the topic {topic} had no partition {partition} when it was opened"
            ))
        })
    }

    fn place(&self, partition: usize) -> Result<TopicPartitionList, BrokerError> {
        let number = i32::try_from(partition)
            .map_err(|_| BrokerError::OutOfStep(format!("there is no partition {partition}")))?;
        let mut place = TopicPartitionList::with_capacity(1);
        place.add_partition(&self.topic, number);
        Ok(place)
    }

    /// What had been held back of partitions that go on.
    fn released(&mut self) -> Vec<Delivery> {
        let going_on = self.partitions.iter_mut().filter(|partition| !partition.is_paused);
        going_on.flat_map(|partition| partition.held.drain(..)).collect()
    }

    /// Holds back what is paused.
    fn sort(&mut self, fetched: Vec<Delivery>) -> Vec<Delivery> {
        let mut delivered = fetched;
        delivered.retain(|delivery| {
            let Some(partition) = self.partitions.get_mut(delivery.partition) else { return false };
            if !partition.is_paused {
                return true;
            }
            partition.held.push(delivery.clone());
            false
        });
        delivered
    }
}

#[async_trait]
impl BrokerReader for KafkaReader {
    fn partitions(&self) -> usize {
        self.partitions.len()
    }

    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            let mut delivered = self.released();
            if delivered.is_empty() {
                let gone = || Err(BrokerError::Unavailable("Kafka's client has given up".to_owned()));
                let fetched = self.fetched.recv().await.unwrap_or_else(gone)?;
                delivered = self.sort(fetched);
            }
            for Delivery { partition, offset, .. } in &delivered {
                let (partition, offset) =
                    (self.partition(*partition)?, i64::try_from(*offset).unwrap_or(i64::MAX));
                partition.next = offset.saturating_add(1);
            }
            if !delivered.is_empty() {
                return Ok(delivered);
            }
        }
    }

    fn pause(&mut self, partition: usize) -> Result<(), BrokerError> {
        let place = self.place(partition)?;
        self.partition(partition)?.is_paused = true;
        self.consumer.pause(&place).map_err(|error| failure(&error, &format!("pause {}", self.topic)))
    }

    fn resume(&mut self, partition: usize) -> Result<(), BrokerError> {
        let place = self.place(partition)?;
        self.partition(partition)?.is_paused = false;
        self.consumer.resume(&place).map_err(|error| failure(&error, &format!("go on with {}", self.topic)))
    }

    async fn behind(&mut self) -> Result<u64, BrokerError> {
        let next: Vec<i64> = self.partitions.iter().map(|partition| partition.next).collect();
        let (consumer, topic) = (Arc::clone(&self.consumer), Arc::clone(&self.topic));
        in_background(move || behind(&consumer, &topic, &next)).await
    }

    fn bookmark(&self, next_offsets: &[Option<u64>]) -> Box<str> {
        let offset = |(index, partition): (usize, &Partition)| {
            let given = next_offsets.get(index).copied().flatten();
            given.and_then(|offset| i64::try_from(offset).ok()).or(partition.bookmarked)
        };
        let offsets = self.partitions.iter().enumerate().map(offset).collect();
        to_json(&KafkaBookmark { topic: self.topic.to_string(), offsets })
    }
}

fn behind(consumer: &BaseConsumer<Observer>, topic: &str, next: &[i64]) -> Result<u64, BrokerError> {
    let until = Instant::now() + PATIENCE;
    let left = || until.saturating_duration_since(Instant::now());
    let asking = |error| failure(&error, &format!("ask how much {topic} has"));
    let metadata = consumer.fetch_metadata(Some(topic), left()).map_err(asking)?;
    let now = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if now != next.len() {
        return Err(BrokerError::OutOfStep(format!(
            "the topic {topic} has {now} partitions, and had {}",
            next.len()
        )));
    }
    let mut behind = 0;
    for (partition, next) in (0..).zip(next) {
        let there = watermarks(consumer.client(), topic, partition, left()).map_err(asking)?;
        if there.high < *next {
            return Err(BrokerError::OutOfStep(format!(
                "partition {partition} of {topic} ends at offset {}, and was read up to offset {next}",
                there.high
            )));
        }
        behind += u64::try_from(there.high - (*next).max(there.low)).unwrap_or(0);
    }
    Ok(behind)
}
