//! The limits: loops around the brokers' own clients that do nothing but publish, with the service's settings, window and
//! message size.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture};
use async_nats::jetstream::stream;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use serde_json::Value;
use test_servers::kafka::producer_performance;
use test_servers::{KafkaServer, NatsServer};

use super::Broker;
use crate::http;
use crate::interrupt;
use crate::order_ids::OrderIds;
use crate::server::Server;

/// Unacknowledged messages at once, as many as the service's relay has.
const WINDOW: usize = 32_768;
/// Much less than the broker needs for what is queued.
const FULL_QUEUE_PAUSE: Duration = Duration::from_micros(200);
const FLUSH_LIMIT: Duration = Duration::from_secs(60);

/// What is published over and over: an event of the service, as it is on its way, each time of another order and with
/// another id, since brokers keep account of keys, subjects and ids.
pub(crate) struct Message {
    attributes: Vec<(String, String)>,
    data: String,
    order_ids: OrderIds,
    event_ids: OrderIds,
}

impl Message {
    /// The first event of a service's log.
    pub(crate) fn sample(service: &Server) -> Result<Self> {
        let (_, page) = http::get(service.address(), "/events?limit=1")?;
        let page: Value = serde_json::from_str(&page)?;
        let event = page[0].as_object().context("the log has an event")?;
        let attributes =
            event.iter().filter(|(name, _)| !["data", "datacontenttype"].contains(&name.as_str()));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let attributes = attributes.map(|(name, value)| (name.clone(), text(value))).collect();
        let (order_ids, event_ids) = (OrderIds::new_random(), OrderIds::new_random());
        Ok(Self { attributes, data: event["data"].to_string(), order_ids, event_ids })
    }

    /// Its size: key, headers and value.
    fn bytes(&self) -> usize {
        let headers: usize =
            self.attributes.iter().map(|(name, value)| "ce_".len() + name.len() + value.len()).sum();
        self.order_ids.id_bytes() + headers + self.data.len()
    }

    /// The attributes of the n-th message, which is of this order and has this id.
    fn attributes<'a>(
        &'a self,
        order_id: &'a str,
        event_id: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.attributes.iter().map(move |(name, value)| match name.as_str() {
            "subject" => ("subject", order_id),
            "id" => ("id", event_id),
            name => (name, value.as_str()),
        })
    }
}

/// Publishes so many messages to a new topic or stream, and says how long it took until all were acknowledged.
pub(crate) fn publish(broker: &Broker, name: &str, message: &Message, count: u64) -> Result<Duration> {
    match broker {
        Broker::Kafka(kafka) => to_kafka(kafka, name, message, count),
        Broker::Nats(nats) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(to_nats(nats, name, message, count)),
    }
}

/// How many messages a second Kafka's own bench tool publishes, of the same size and with the same settings.
pub(crate) fn publish_with_own_tool(kafka: &KafkaServer, message: &Message, count: u64) -> Result<f64> {
    const TOPIC: &str = "own-tool";
    kafka.create_topic(TOPIC, 1)?;
    let settings = [("acks", "all"), ("enable.idempotence", "true"), ("compression.type", "lz4")];
    let figures = producer_performance(&kafka.bootstrap(), TOPIC, count, message.bytes(), &settings)?;
    Ok(figures.records_per_second)
}

struct Acknowledged(Arc<AtomicU64>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn to_kafka(kafka: &KafkaServer, topic: &str, message: &Message, count: u64) -> Result<Duration> {
    kafka.create_topic(topic, 1)?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.bootstrap())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.messages", WINDOW.to_string());
    let acknowledged = Arc::new(AtomicU64::new(0));
    let context = Acknowledged(Arc::clone(&acknowledged));
    let producer = ThreadedProducer::<_>::from_config_and_context(&config, context)?;
    let keys: Vec<_> = message.attributes.iter().map(|(name, _)| format!("ce_{name}")).collect();
    let begin = Instant::now();
    for n in 0..count {
        let (order_id, event_id) = (message.order_ids.id(n), message.event_ids.id(n));
        let mut headers = OwnedHeaders::new_with_capacity(keys.len());
        for (key, (_, value)) in keys.iter().zip(message.attributes(&order_id, &event_id)) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut record =
            BaseRecord::to(topic).key(order_id.as_str()).payload(message.data.as_str()).headers(headers);
        while let Err((_, unsent)) = producer.send(record) {
            // The queue is full, which is the window.
            record = unsent;
            interrupt::pause(FULL_QUEUE_PAUSE)?;
        }
    }
    producer.flush(FLUSH_LIMIT)?;
    let elapsed = begin.elapsed();
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    ensure!(acknowledged == count, "Kafka acknowledged {acknowledged} of {count} messages");
    Ok(elapsed)
}

async fn to_nats(nats: &NatsServer, name: &str, message: &Message, count: u64) -> Result<Duration> {
    let client = async_nats::connect(nats.url()).await?;
    let context = ContextBuilder::new().max_ack_inflight(WINDOW).build(client);
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        storage: stream::StorageType::File,
        ..stream::Config::default()
    };
    context.create_stream(config).await?;
    let begin = Instant::now();
    let mut window = VecDeque::<PublishAckFuture>::with_capacity(WINDOW);
    for n in 0..count {
        if window.len() == WINDOW
            && let Some(acknowledgement) = window.pop_front()
        {
            acknowledgement.await?;
        }
        let (order_id, event_id) = (message.order_ids.id(n), message.event_ids.id(n));
        let mut headers = HeaderMap::new();
        for (name, value) in message.attributes(&order_id, &event_id) {
            headers.insert(format!("ce-{name}").as_str(), value);
        }
        headers.insert("Nats-Msg-Id", event_id.as_str());
        let subject = format!("{name}.placed.{order_id}");
        let data = message.data.clone().into();
        window.push_back(context.publish_with_headers(subject, headers, data).await?);
    }
    for acknowledgement in window {
        acknowledgement.await?;
    }
    Ok(begin.elapsed())
}
