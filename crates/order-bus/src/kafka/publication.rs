//! Publishing to the topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use order_application::{BrokerError, Position, Publication, RecordedEvent};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use serde_json::json;
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::background::{DroppedInBackground, in_background};
use super::error::{REFUSED, failed, refusal};
use super::gap::{Gap, find_event};
use super::message::headers;
use super::options::KafkaOptions;
use super::probe::partitions_of;
use super::producer::{Deliveries, Producer};
use super::window::PublishFailure;

/// How long a failure that is only a consequence may wait for its cause.
const CAUSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing may come back although something should. Longer than it takes a cluster to choose another leader, mostly.
const STALL_PATIENCE: Duration = Duration::from_secs(12);

pub(super) struct KafkaPublication {
    producer: Arc<DroppedInBackground<Producer>>,
    options: Arc<KafkaOptions>,
    source: Arc<str>,
    /// How many the topic has, as of the last look.
    partitions: i32,
    /// Until when a failure may wait for its cause.
    cause_until: Option<Instant>,
    /// A look into gaps that is under way, and how many they are.
    looking: Option<(usize, Looking)>,
}

/// Finds an event that was not sent here.
type Looking = BoxFuture<'static, Result<Option<String>, BrokerError>>;

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
            self.look_into_gaps().await?;
            let (newly_acknowledged, failure, waiting_since) = {
                let mut window = self.deliveries().window();
                if !window.gaps().is_empty() {
                    continue;
                }
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
        let (acknowledged, known_to, is_idle) = {
            let window = self.deliveries().window();
            (window.evidence(), window.known_to().clone(), window.events.waiting_since().is_none())
        };
        let (producer, options) = (Arc::clone(&self.producer), Arc::clone(&self.options));
        let (known, partitions) = (known_to.clone(), known_to.into_keys());
        let checking = move || {
            let ends = acknowledged.check_ends(producer.client(), &options.topic, partitions)?;
            Ok((ends, partitions_of(producer.client(), &options.topic)))
        };
        let (ends, partitions) = in_background(checking).await?;
        self.note_partitions(partitions);
        if is_idle { self.check_later(&known, ends).await } else { Ok(()) }
    }
}

impl KafkaPublication {
    pub(super) fn new(
        producer: Producer,
        options: Arc<KafkaOptions>,
        source: Arc<str>,
        partitions: i32,
    ) -> Self {
        Self {
            producer: Arc::new(DroppedInBackground::new(producer)),
            options,
            source,
            partitions,
            cause_until: None,
            looking: None,
        }
    }

    /// Whoever adds partitions is probably still there, and does not see otherwise what it means. Events go on to all of them.
    fn note_partitions(&mut self, partitions: Option<i32>) {
        let Some(now) = partitions.filter(|now| *now != self.partitions) else { return };
        tracing::warn!(
            "the topic {} has {now} partitions, and had {}: events of an order may lie in another partition from now on than \
             those before, so that whoever reads partitions apart may get the later ones first. A topic that keeps each \
             order's order is another one, with so many from the beginning (topic=)",
            self.options.topic,
            self.partitions
        );
        self.partitions = now;
    }

    /// Looks into the gaps between acknowledged messages. Cancelling the wait loses nothing.
    async fn look_into_gaps(&mut self) -> Result<(), BrokerError> {
        let gaps = match self.looking {
            Some(_) => Vec::new(),
            None => self.deliveries().window().gaps().to_vec(),
        };
        if !gaps.is_empty() {
            self.looking = Some((gaps.len(), self.look_into(gaps)));
        }
        let Some((gaps, looking)) = &mut self.looking else { return Ok(()) };
        let (gaps, found) = (*gaps, looking.await);
        self.looking = None;
        self.nothing_but(found?)?;
        self.deliveries().window().looked_into(gaps);
        Ok(())
    }

    /// Looks into what came after everything that was sent here, up to these ends.
    async fn check_later(
        &mut self,
        known: &BTreeMap<i32, i64>,
        ends: BTreeMap<i32, i64>,
    ) -> Result<(), BrokerError> {
        let later = |(&partition, &end): (&i32, &i64)| {
            let from = known.get(&partition).copied().filter(|from| *from < end)?;
            Some(Gap { partition, offsets: from..end })
        };
        let later: Vec<_> = ends.iter().filter_map(later).collect();
        if later.is_empty() {
            return Ok(());
        }
        let found = self.look_into(later.clone()).await?;
        self.nothing_but(found)?;
        let mut window = self.deliveries().window();
        later.iter().for_each(|gap| window.looked_up_to(gap.partition, gap.offsets.end));
        Ok(())
    }

    fn look_into(&self, gaps: Vec<Gap>) -> Looking {
        let options = Arc::clone(&self.options);
        in_background(move || find_event(&options, &gaps)).boxed()
    }

    /// What somebody else has sent is compared with the log when the topic is opened again.
    fn nothing_but(&self, found: Option<String>) -> Result<(), BrokerError> {
        let Some(others) = found else { return Ok(()) };
        self.purge();
        Err(BrokerError::OutOfStep(others))
    }

    fn deliveries(&self) -> &Deliveries {
        self.producer.context()
    }

    /// Gives an event to librdkafka, whose queue takes more than a relay's window.
    fn send(&self, event: &RecordedEvent, previous_id: Option<Uuid>) -> Result<(), BrokerError> {
        let opaque = usize::try_from(event.position.0)
            .map_err(|_| BrokerError::Misconfigured("so many events need a machine of 64 bits".to_owned()))?;
        let record = BaseRecord::with_opaque_to(&self.options.topic, opaque)
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
            return BrokerError::Refused { position, why: refusal(code, &self.options.topic) };
        }
        let fatal = self.producer.client().fatal_error().filter(|_| is_consequence);
        let (code, reason) = fatal.unwrap_or((code, reason));
        failed(Some(code), &format!("event {position} was not taken by Kafka: {reason}"))
    }

    fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
    }
}
