//! The producer, and where its acknowledgements go.

use std::sync::{Mutex, MutexGuard, PoisonError};

use order_application::{BrokerError, Position};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::client::{Observer, not_created, settings};
use super::error::CONSEQUENCES;
use super::options::KafkaOptions;
use super::window::{KafkaWindow, PublishFailure};

/// Most events in librdkafka's queue, and most KiB of them.
const QUEUED_EVENTS: usize = 100_000;
const QUEUED_KIB: usize = 64 * 1024;
/// So much may be sent at once if the broker does not say that it takes less. Librdkafka's own limit.
const BATCH_BYTES: usize = 1_000_000;
/// What a batch has besides its messages, and then some.
const BATCH_OVERHEAD_BYTES: usize = 1_024;
/// Beyond what a broker takes by far, so that it is the broker that refuses.
const MESSAGE_BYTES: usize = 100 * 1024 * 1024;

pub(super) type Producer = ThreadedProducer<Deliveries>;

/// Connects by itself, and goes on trying for ever. `max_message_bytes` is what the topic takes in a batch.
pub(super) fn producer(
    options: &KafkaOptions,
    window: KafkaWindow,
    max_message_bytes: Option<usize>,
) -> Result<Producer, BrokerError> {
    let config = producer_settings(options, max_message_bytes);
    let context = Deliveries {
        window: Mutex::new(window),
        changed: Notify::new(),
        observer: Observer::default(),
        #[cfg(feature = "planted-faults")]
        losses_are_missed: options.planted_message_timeout_ms.is_some(),
    };
    Producer::from_config_and_context(&config, context).map_err(|error| not_created(&error))
}

fn producer_settings(options: &KafkaOptions, max_message_bytes: Option<usize>) -> ClientConfig {
    // The broker limits batches, not messages. With batches that are within the limit for certain, one that is refused is
    // a single message, and it is known which.
    let batch_bytes =
        max_message_bytes.map_or(BATCH_BYTES, |max| max.saturating_sub(BATCH_OVERHEAD_BYTES).max(1));
    let mut config = settings(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // After a message that was refused, nothing goes out any more: later ones of the same order must not pass it.
        .set("enable.gapless.guarantee", "true")
        // Nor may they pass one that was given up, so none is.
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", MESSAGE_BYTES.to_string())
        .set("batch.size", batch_bytes.min(BATCH_BYTES).to_string())
        .set("queue.buffering.max.messages", QUEUED_EVENTS.to_string())
        .set("queue.buffering.max.kbytes", QUEUED_KIB.to_string())
        .set("compression.type", options.compression)
        // Java's clients choose partitions like that, and what joins topics relies on it.
        .set("partitioner", "murmur2_random");
    #[cfg(feature = "planted-faults")]
    if let Some(milliseconds) = options.planted_message_timeout_ms {
        config
            .set("enable.idempotence", "false")
            .set("enable.gapless.guarantee", "false")
            .set("message.timeout.ms", milliseconds.to_string());
    }
    config
}

/// Takes what comes back, on the producer's thread.
pub(super) struct Deliveries {
    window: Mutex<KafkaWindow>,
    /// More is acknowledged, or something failed.
    pub(super) changed: Notify,
    pub(super) observer: Observer,
    /// The fault: what was lost counts as delivered.
    #[cfg(feature = "planted-faults")]
    losses_are_missed: bool,
}

impl Deliveries {
    pub(super) fn window(&self) -> MutexGuard<'_, KafkaWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event at a position was not taken.
    pub(super) fn fail(&self, position: Position, code: Code) {
        let (reason, is_consequence) = (code.to_string(), CONSEQUENCES.contains(&code));
        self.window().fail(PublishFailure { position, code, reason, is_consequence });
        self.changed.notify_one();
    }

    fn acknowledge(&self, position: Position, partition: i32, offset: i64) {
        if self.window().acknowledge(position, partition, offset) {
            self.changed.notify_one();
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.observer.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Nothing can be sent any more. What was sent fails as well, and may say more.
        if error.rdkafka_error_code() == Some(Code::Fatal) {
            let position = self.window().events.acknowledged();
            self.fail(position, Code::Fatal);
        }
        self.observer.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    /// The position.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        use rdkafka::Message;

        let position = Position(position as u64);
        match result {
            Ok(message) => self.acknowledge(position, message.partition(), message.offset()),
            #[cfg(feature = "planted-faults")]
            Err(_) if self.losses_are_missed => self.acknowledge(position, 0, -1),
            Err((error, _)) => self.fail(position, error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        }
    }
}
