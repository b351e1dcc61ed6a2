//! Publishing to a topic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use order_application::{BrokerError, Position, Publication, RecordedEvent};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::background::{drop_in_background, in_background};
use super::check::check;
use super::failure::{code_of, failed, refusal, refused};
use super::headers::headers;
use super::outstanding::Failure;
use super::producer::{Producer, Shared};

/// Most events behind one that is not acknowledged, itself included. The relay's window is much smaller.
const MAX_OUTSTANDING: usize = 100_000;
/// How long there may be no room for the next event.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
/// Events between two moments in which the runtime may do something else.
const EVENTS_IN_A_ROW: usize = 64;
/// How long a failure that is only a consequence may wait for its cause.
const CAUSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing may come back although something should. Longer than it takes a cluster to choose another leader, mostly.
const STALL_PATIENCE: Duration = Duration::from_secs(12);

pub(super) struct KafkaPublication {
    /// Always there, until it is dropped.
    producer: Option<Arc<Producer>>,
    shared: Arc<Shared>,
    topic: Arc<str>,
    source: Arc<str>,
    /// The event that was noted last.
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

    /// Takes note of events that come next, before they are sent: their acknowledgements may be quick.
    fn note(&mut self, events: &[RecordedEvent]) -> Result<(), BrokerError> {
        let mut outstanding = self.shared.outstanding();
        for event in events {
            if event.position != self.sent.plus(1) {
                return Err(BrokerError::OutOfStep(format!(
                    "event {} was to be published right after event {}",
                    event.position, self.sent
                )));
            }
            outstanding.sending(event.id);
            self.sent = event.position;
        }
        Ok(())
    }

    /// `false` when something failed.
    async fn send(&self, event: &RecordedEvent, previous_id: Option<Uuid>) -> Result<bool, BrokerError> {
        let mut record = BaseRecord::with_opaque_to(&self.topic, opaque(event.position)?)
            .key(event.order_id.as_str())
            .payload(&*event.data)
            .headers(headers(&self.source, event, previous_id));
        loop {
            let Err((error, unsent)) = self.producer()?.send(record) else { return Ok(true) };
            record = unsent;
            let code = code_of(&error).unwrap_or(Code::Unknown);
            if code != Code::QueueFull {
                let consequence = code == Code::Fatal;
                self.shared.fail(Failure::Delivery { position: event.position, code, consequence });
                return Ok(false);
            }
            self.wait_for_room().await?;
        }
    }

    /// Waits until some more may be outstanding. `false` when something failed.
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

    /// Why nothing comes back, as far as it is known. Nothing more is to go out.
    fn stalled(&self) -> BrokerError {
        let seconds = STALL_PATIENCE.as_secs();
        let stalled = format!("Kafka has acknowledged nothing for {seconds} s");
        let why = self.producer.as_ref().and_then(|producer| producer.context().complaint());
        let error = BrokerError::Unavailable(match why {
            Some(why) => format!("{stalled}: {why}"),
            None => stalled,
        });
        self.ended(Failure::Other(error))
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
    /// When something has failed, nothing is sent: [`acknowledged`](Self::acknowledged) tells, after all that went well.
    async fn publish(
        &mut self,
        previous_id: Option<Uuid>,
        events: &[RecordedEvent],
    ) -> Result<(), BrokerError> {
        let mut previous_id = previous_id;
        for some in events.chunks(EVENTS_IN_A_ROW) {
            if !self.room().await? {
                return Ok(());
            }
            self.note(some)?;
            for event in some {
                if !self.send(event, previous_id).await? {
                    return Ok(());
                }
                previous_id = Some(event.id);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<Position, BrokerError> {
        loop {
            let (failure, waiting_since) = {
                let outstanding = self.shared.outstanding();
                if outstanding.acknowledged() > self.told {
                    self.told = outstanding.acknowledged();
                    return Ok(self.told);
                }
                (outstanding.failure().cloned(), outstanding.waiting_since())
            };
            let changed = self.shared.changed.notified();
            match failure {
                None => {
                    let Some(since) = waiting_since else {
                        changed.await;
                        continue;
                    };
                    if since.elapsed() >= STALL_PATIENCE {
                        return Err(self.stalled());
                    }
                    // Either way it is looked at again.
                    let _ = timeout_at((since + STALL_PATIENCE).into(), changed).await;
                }
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
        in_background(move || check(producer.client(), &topic, &acknowledged)).await
    }
}

impl Drop for KafkaPublication {
    fn drop(&mut self) {
        // Librdkafka takes half a second and more when nobody answers.
        drop_in_background(self.producer.take());
    }
}
