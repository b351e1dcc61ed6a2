//! What a replica sees of the topic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt;
use order_application::{BrokerError, BrokerReader, Delivery};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, TopicPartitionList};
use serde_json::json;

use super::background::{DroppedInBackground, in_background};
use super::client::Observer;
use super::error::failure;
use super::log::KafkaBookmark;
use super::message::event;
use super::probe::offsets;

/// Messages that are handed out at a time.
const DELIVERED_MESSAGES: usize = 512;
/// How long the brokers may take to say how much there is.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct KafkaReader {
    pub(super) consumer: Arc<DroppedInBackground<StreamConsumer<Observer>>>,
    pub(super) topic: Arc<str>,
    pub(super) partitions: Vec<PartitionOffsets>,
}

/// How far a partition is read.
pub(super) struct PartitionOffsets {
    /// The offset that comes next.
    pub(super) next: i64,
    /// What a bookmark says that is made before anything is delivered.
    pub(super) bookmarked: Option<i64>,
}

#[async_trait]
impl BrokerReader for KafkaReader {
    fn partitions(&self) -> usize {
        self.partitions.len()
    }

    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let mut deliveries = Vec::new();
        while deliveries.is_empty() {
            let mut polled = Some(self.consumer.recv().await);
            while let Some(message) = polled {
                deliveries.extend(delivery(message, &self.topic)?);
                let has_room = deliveries.len() < DELIVERED_MESSAGES;
                polled = if has_room { self.consumer.recv().now_or_never() } else { None };
            }
        }
        for Delivery { partition, offset, .. } in &deliveries {
            if let Some(partition) = self.partitions.get_mut(*partition) {
                partition.next = i64::try_from(*offset).unwrap_or(i64::MAX).saturating_add(1);
            }
        }
        Ok(deliveries)
    }

    fn set_paused(&mut self, partition: usize, is_paused: bool) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, i32::try_from(partition).unwrap_or(i32::MAX));
        let switched = if is_paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        switched.map_err(|error| failure(&error, &format!("cannot pause {} or go on with it", self.topic)))
    }

    async fn behind(&mut self) -> Result<u64, BrokerError> {
        let next: Vec<i64> = self.partitions.iter().map(|partition| partition.next).collect();
        let (consumer, topic) = (Arc::clone(&self.consumer), Arc::clone(&self.topic));
        in_background(move || behind(&consumer, &topic, &next)).await
    }

    fn bookmark(&self, next_offsets: &[Option<u64>]) -> Box<str> {
        let offset = |(index, partition): (usize, &PartitionOffsets)| {
            let given = next_offsets.get(index).copied().flatten();
            given.and_then(|offset| i64::try_from(offset).ok()).or(partition.bookmarked)
        };
        let offsets = self.partitions.iter().enumerate().map(offset).collect();
        json!(KafkaBookmark { topic: self.topic.to_string(), offsets }).to_string().into()
    }
}

fn behind(consumer: &StreamConsumer<Observer>, topic: &str, next: &[i64]) -> Result<u64, BrokerError> {
    let until = Instant::now() + PATIENCE;
    let left = || until.saturating_duration_since(Instant::now());
    let metadata = consumer.fetch_metadata(Some(topic), left());
    let metadata = metadata.map_err(|error| failure(&error, &format!("cannot ask how much {topic} has")))?;
    let now = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if now != next.len() {
        return Err(BrokerError::OutOfStep(format!(
            "the topic {topic} has {now} partitions, and had {}",
            next.len()
        )));
    }
    let mut behind = 0;
    for (partition, next) in (0..).zip(next) {
        let there = offsets(consumer.client(), topic, partition, left())?;
        if there.end < *next {
            return Err(BrokerError::OutOfStep(format!(
                "partition {partition} of {topic} ends at offset {}, and was read up to offset {next}",
                there.end
            )));
        }
        behind += u64::try_from(there.end - (*next).max(there.start)).unwrap_or(0);
    }
    Ok(behind)
}

/// `None` for what librdkafka gets over by itself.
fn delivery(polled: KafkaResult<BorrowedMessage<'_>>, topic: &str) -> Result<Option<Delivery>, BrokerError> {
    let message = match polled {
        Ok(message) => message,
        Err(error) => {
            let failure = failure(&error, &format!("cannot read {topic}"));
            if !matches!(failure, BrokerError::Unavailable(_)) {
                return Err(failure);
            }
            tracing::debug!(target: "kafka", %error, "librdkafka tries again");
            return Ok(None);
        }
    };
    let (Ok(partition), Ok(offset)) = (usize::try_from(message.partition()), u64::try_from(message.offset()))
    else {
        return Ok(None);
    };
    // The binding panics at a header whose name is not UTF-8, and anybody may write one.
    let event = catch_unwind(AssertUnwindSafe(|| event(&message)))
        .unwrap_or_else(|_| Err("a header's name is not UTF-8".to_owned()));
    Ok(Some(Delivery { partition, offset, event }))
}
