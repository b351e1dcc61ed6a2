//! Publishing to a topic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use order_application::{BrokerError, Position, Publication, RecordedEvent};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::{Instant, timeout, timeout_at};

use super::background::{drop_in_background, in_background};
use super::failure::{NO_TOPIC, code_of, failed, failure, misconfigured, refusal, refused};
use super::headers::headers;
use super::outstanding::Failure;
use super::probe::watermarks;
use super::producer::{Producer, Shared};

/// Most events behind one that is not acknowledged, itself included. The relay's window is much smaller.
const MAX_OUTSTANDING: usize = 100_000;
/// How long there may be no room for the next event.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
/// Events between two moments in which the runtime may do something else.
const EVENTS_IN_A_ROW: usize = 64;
/// How long a failure that is only a consequence may wait for its cause.
const CAUSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a partition's leader may take to say where the partition ends: there may be none for a while.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct KafkaPublication {
    /// Always there, until it is dropped.
    producer: Option<Arc<Producer>>,
    shared: Arc<Shared>,
    topic: Arc<str>,
    source: Arc<str>,
    /// The event that was sent last.
    sent: Position,
    /// What [`acknowledged`](Publication::acknowledged) answered with last.
    told: Position,
    /// Until when a failure may wait for its cause.
    cause_until: Option<Instant>,
}

impl KafkaPublication {
    pub(super) fn new(
        producer: Arc<Producer>,
        shared: Arc<Shared>,
        topic: &str,
        source: Arc<str>,
        after: Position,
    ) -> Self {
        Self {
            producer: Some(producer),
            shared,
            topic: topic.into(),
            source,
            sent: after,
            told: after,
            cause_until: None,
        }
    }

    fn producer(&self) -> Result<&Arc<Producer>, BrokerError> {
        self.producer
            .as_ref()
            .ok_or_else(|| BrokerError::Unavailable("this publication has ended".to_owned()))
    }

    /// `false` when something failed: [`acknowledged`](Publication::acknowledged) tells what, after all that went well.
    async fn send(&mut self, event: &RecordedEvent) -> Result<bool, BrokerError> {
        let position = event.position;
        if position != self.sent.plus(1) {
            return Err(BrokerError::OutOfStep(format!(
                "event {position} was to be published right after event {}",
                self.sent
            )));
        }
        let mut record = BaseRecord::with_opaque_to(&self.topic, opaque(position)?)
            .key(event.order_id.as_str())
            .payload(&*event.data)
            .headers(headers(&self.source, event));
        loop {
            if !self.room().await? {
                return Ok(false);
            }
            self.shared.outstanding().sending(event.id);
            let Err((error, unsent)) = self.producer()?.send(record) else {
                self.sent = position;
                return Ok(true);
            };
            self.shared.outstanding().not_sent();
            record = unsent;
            match code_of(&error) {
                Some(Code::QueueFull) => self.wait_for_room().await?,
                code => {
                    let code = code.unwrap_or(Code::Unknown);
                    let consequence = code == Code::Fatal;
                    self.shared.fail(Failure::Delivery { position, code, consequence });
                    return Ok(false);
                }
            }
        }
    }

    /// Waits until one more may be outstanding. `false` when something failed.
    async fn room(&self) -> Result<bool, BrokerError> {
        loop {
            {
                let outstanding = self.shared.outstanding();
                if outstanding.failure().is_some() {
                    return Ok(false);
                }
                if outstanding.len() < MAX_OUTSTANDING {
                    return Ok(true);
                }
            }
            self.wait_for_room().await?;
        }
    }

    async fn wait_for_room(&self) -> Result<(), BrokerError> {
        timeout(ROOM_PATIENCE, self.shared.changed.notified()).await.map_err(|_| {
            let seconds = ROOM_PATIENCE.as_secs();
            BrokerError::Unavailable(format!(
                "Kafka has acknowledged nothing for {seconds} s, and the queue is full"
            ))
        })
    }

    /// What a failure means. Nothing more is to go out.
    fn ended(&self, failure: Failure) -> BrokerError {
        let Some(producer) = &self.producer else {
            return BrokerError::Unavailable("this publication has ended".to_owned());
        };
        producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
        match failure {
            Failure::Other(error) => error,
            Failure::Delivery { position, code, .. } if refused(code) => {
                BrokerError::Refused { position, why: refusal(code, &self.topic) }
            }
            Failure::Delivery { position, code, consequence } => {
                let fatal = producer.client().fatal_error().filter(|_| consequence);
                let (code, reason) = fatal.unwrap_or_else(|| (code, code.to_string()));
                failed(Some(code), &format!("event {position} was not taken by Kafka: {reason}"))
            }
        }
    }
}

fn opaque(position: Position) -> Result<usize, BrokerError> {
    usize::try_from(position.0)
        .map_err(|_| BrokerError::Misconfigured("so many events need a machine of 64 bits".to_owned()))
}

#[async_trait]
impl Publication for KafkaPublication {
    async fn publish(&mut self, events: &[RecordedEvent]) -> Result<(), BrokerError> {
        for some in events.chunks(EVENTS_IN_A_ROW) {
            for event in some {
                if !self.send(event).await? {
                    return Ok(());
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<Position, BrokerError> {
        loop {
            let failure = {
                let outstanding = self.shared.outstanding();
                if outstanding.acknowledged() > self.told {
                    self.told = outstanding.acknowledged();
                    return Ok(self.told);
                }
                outstanding.failure().cloned()
            };
            let changed = self.shared.changed.notified();
            match failure {
                None => changed.await,
                Some(Failure::Delivery { consequence: true, .. }) => {
                    let until = *self.cause_until.get_or_insert_with(|| Instant::now() + CAUSE_PATIENCE);
                    let waited = timeout_at(until, changed).await;
                    let failure = self.shared.outstanding().failure().cloned();
                    if let (Err(_), Some(failure)) = (waited, failure) {
                        return Err(self.ended(failure));
                    }
                }
                Some(failure) => return Err(self.ended(failure)),
            }
        }
    }

    fn evidence(&self) -> Box<str> {
        self.shared.outstanding().evidence().write()
    }

    async fn check(&mut self) -> Result<(), BrokerError> {
        let acknowledged = self.shared.outstanding().evidence().clone();
        let producer = Arc::clone(self.producer()?);
        let topic = Arc::clone(&self.topic);
        in_background(move || {
            let until = std::time::Instant::now() + CHECK_PATIENCE;
            for (partition, marks) in acknowledged.partitions {
                let left = until.saturating_duration_since(std::time::Instant::now());
                let now = watermarks(producer.client(), &topic, partition, left)
                    .map_err(|error| no_answer(&error, &topic, partition))?;
                if now.high <= marks.last.offset {
                    return Err(BrokerError::OutOfStep(format!(
                        "partition {partition} of {topic} ends at offset {}, and had acknowledged offset {}",
                        now.high, marks.last.offset
                    )));
                }
            }
            Ok(())
        })
        .await
    }
}

fn no_answer(error: &KafkaError, topic: &str, partition: i32) -> BrokerError {
    let code = code_of(error);
    if code.is_some_and(|code| NO_TOPIC.contains(&code)) {
        return BrokerError::OutOfStep(format!("partition {partition} of {topic} is gone"));
    }
    if misconfigured(code) {
        return failure(error, &format!("look at partition {partition} of {topic}"));
    }
    BrokerError::Unavailable(format!("nobody says where partition {partition} of {topic} ends: {error}"))
}

impl Drop for KafkaPublication {
    fn drop(&mut self) {
        // Librdkafka takes half a second and more when nobody answers.
        drop_in_background(self.producer.take());
    }
}
