//! Publishing to the topic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use order_application::{BrokerError, Position, Publication, RecordedEvent};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use serde_json::json;
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::background::{DroppedInBackground, in_background};
use super::error::{REFUSED, failed, refusal};
use super::message::headers;
use super::producer::{Deliveries, Producer};
use super::window::PublishFailure;

/// How long a failure that is only a consequence may wait for its cause.
const CAUSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing may come back although something should. Longer than it takes a cluster to choose another leader, mostly.
const STALL_PATIENCE: Duration = Duration::from_secs(12);

pub(super) struct KafkaPublication {
    producer: Arc<DroppedInBackground<Producer>>,
    topic: Arc<str>,
    source: Arc<str>,
    /// Until when a failure may wait for its cause.
    cause_until: Option<Instant>,
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
        for event in events {
            {
                let mut window = self.deliveries().window();
                if window.failure().is_some() {
                    return Ok(());
                }
                window.sending(event.position, event.id)?;
            }
            self.send(event, previous_id)?;
            previous_id = Some(event.id);
            consume_budget().await;
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<Position, BrokerError> {
        loop {
            let (newly_acknowledged, failure, waiting_since) = {
                let mut window = self.deliveries().window();
                let failure = window.failure().cloned();
                (window.events.newly_acknowledged(), failure, window.events.waiting_since())
            };
            if let Some(position) = newly_acknowledged {
                return Ok(position);
            }
            let until = match &failure {
                None => waiting_since.map(|since| since + STALL_PATIENCE),
                Some(failure) if failure.is_consequence => {
                    Some(*self.cause_until.get_or_insert_with(|| Instant::now() + CAUSE_PATIENCE))
                }
                Some(failure) => return Err(self.ended(failure)),
            };
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(failure.map_or_else(|| self.stalled(), |failure| self.ended(&failure)));
            }
            let changed = self.deliveries().changed.notified();
            match until {
                // Either way it is looked at again.
                Some(until) => drop(timeout_at(until, changed).await),
                None => changed.await,
            }
        }
    }

    fn evidence(&self) -> Box<str> {
        json!(self.deliveries().window().evidence()).to_string().into()
    }

    async fn check(&mut self) -> Result<(), BrokerError> {
        let acknowledged = self.deliveries().window().evidence().clone();
        let (producer, topic) = (Arc::clone(&self.producer), Arc::clone(&self.topic));
        in_background(move || acknowledged.check_ends(producer.client(), &topic)).await
    }
}

impl KafkaPublication {
    pub(super) fn new(producer: Producer, topic: &str, source: Arc<str>) -> Self {
        Self {
            producer: Arc::new(DroppedInBackground::new(producer)),
            topic: topic.into(),
            source,
            cause_until: None,
        }
    }

    fn deliveries(&self) -> &Deliveries {
        self.producer.context()
    }

    /// Gives an event to librdkafka, whose queue takes more than a relay's window.
    fn send(&self, event: &RecordedEvent, previous_id: Option<Uuid>) -> Result<(), BrokerError> {
        let opaque = usize::try_from(event.position.0)
            .map_err(|_| BrokerError::Misconfigured("so many events need a machine of 64 bits".to_owned()))?;
        let record = BaseRecord::with_opaque_to(&self.topic, opaque)
            .key(event.order_id.as_str())
            .payload(&*event.data)
            .headers(headers(&self.source, event, previous_id));
        if let Err((error, _)) = self.producer.send(record) {
            self.deliveries().fail(event.position, error.rdkafka_error_code().unwrap_or(Code::Unknown));
        }
        Ok(())
    }

    /// Why nothing comes back, as far as it is known. Nothing more is to go out.
    fn stalled(&self) -> BrokerError {
        self.purge();
        self.deliveries().observer.silence("Kafka has acknowledged nothing", STALL_PATIENCE)
    }

    /// What a failure means. Nothing more is to go out.
    fn ended(&self, failure: &PublishFailure) -> BrokerError {
        self.purge();
        let PublishFailure { position, code, reason, is_consequence } = failure.clone();
        if REFUSED.contains(&code) {
            return BrokerError::Refused { position, why: refusal(code, &self.topic) };
        }
        let fatal = self.producer.client().fatal_error().filter(|_| is_consequence);
        let (code, reason) = fatal.unwrap_or((code, reason));
        failed(Some(code), &format!("event {position} was not taken by Kafka: {reason}"))
    }

    fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
    }
}
