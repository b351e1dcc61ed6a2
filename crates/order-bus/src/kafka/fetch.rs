//! The thread that takes messages from librdkafka.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use order_application::{BrokerError, Delivery};
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::mpsc;

use super::client::Observer;
use super::error::{code_of, failure, misconfigured};
use super::message::event;

/// Messages that are handed on together, and how many such batches wait.
const BATCH_MESSAGES: usize = 512;
const BATCHES: usize = 4;
/// How long the thread goes on when nobody wants anything any more, and nothing comes.
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// What comes.
pub(super) type Fetched = Result<Vec<Delivery>, BrokerError>;

/// Reads until the receiver is dropped, or something ends it.
pub(super) fn fetch(
    consumer: Arc<BaseConsumer<Observer>>,
    topic: Arc<str>,
) -> Result<mpsc::Receiver<Fetched>, BrokerError> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let work = move || {
        while !sender.is_closed() {
            let batch = match batch(&consumer, &topic) {
                Ok(batch) if batch.is_empty() => continue,
                fetched => fetched,
            };
            let ended = batch.is_err();
            if sender.blocking_send(batch).is_err() || ended {
                break;
            }
        }
        // The consumer's end takes its time, so the reader's part of it goes first.
        while !sender.is_closed() {
            drop(consumer.poll(LONGEST_POLL));
        }
    };
    thread::Builder::new()
        .name("kafka-fetch".to_owned())
        .spawn(work)
        .map_err(|error| BrokerError::Unavailable(format!("no thread for Kafka's client: {error}")))?;
    Ok(receiver)
}

/// What there is, without waiting for more than a first message.
fn batch(consumer: &BaseConsumer<Observer>, topic: &str) -> Fetched {
    let mut batch = Vec::new();
    let mut wait = LONGEST_POLL;
    while let Some(polled) = consumer.poll(wait) {
        batch.extend(delivery(polled, topic)?);
        wait = Duration::ZERO;
        if batch.len() >= BATCH_MESSAGES {
            break;
        }
    }
    Ok(batch)
}

fn delivery(polled: KafkaResult<BorrowedMessage<'_>>, topic: &str) -> Result<Option<Delivery>, BrokerError> {
    let message = match polled {
        Ok(message) => message,
        Err(error) if lasting(&error) => return Err(failure(&error, &format!("read {topic}"))),
        Err(error) => {
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

/// Whether librdkafka does not get over it by itself.
fn lasting(error: &KafkaError) -> bool {
    const LASTING: &[Code] = &[
        Code::AutoOffsetReset,
        Code::OffsetOutOfRange,
        Code::UnknownTopic,
        Code::UnknownTopicOrPartition,
        Code::UnknownPartition,
        Code::Fatal,
    ];
    let code = code_of(error);
    // No group is joined, so nobody need be allowed to.
    if code == Some(Code::GroupAuthorizationFailed) {
        return false;
    }
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || misconfigured(code)
        || code.is_some_and(|code| LASTING.contains(&code))
}
