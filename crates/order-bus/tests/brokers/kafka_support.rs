//! What tests of Kafka have in common.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use order_application::{
    Broker, BrokerError, BrokerLog, Checkpoint, Delivery, EventContext, Opened, Position, RecordedEvent,
    Version,
};
use order_bus::{KafkaBroker, KafkaLog, KafkaOptions};
use order_domain::{OrderId, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use uuid::Uuid;

pub(crate) const SOURCE: &str = "/order-service";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const ORDERS: u64 = 50;

/// A name that no other topic has.
pub(crate) fn fresh_topic() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("orders.events-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn options(bootstrap: &str, topic: &str, more: &str) -> KafkaOptions {
    KafkaOptions::parse(&format!("kafka://{bootstrap}?topic={topic}{more}")).unwrap()
}

pub(crate) fn broker(options: &KafkaOptions) -> KafkaBroker {
    KafkaBroker::new(options.clone(), SOURCE)
}

/// The event of a log that has always been there: the same for the same position.
pub(crate) fn event(position: u64) -> RecordedEvent {
    RecordedEvent {
        position: Position(position),
        order_id: OrderId::new(format!("ord-{}", position % ORDERS)).unwrap(),
        version: Version(position / ORDERS + 1),
        id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 | u128::from(position)),
        event_type: Cow::Borrowed("order.placed.v1"),
        time: Timestamp::from_micros(1_767_225_600_123_456),
        data: format!(r#"{{"position":{position},"note":"ü"}}"#).into(),
        context: EventContext {
            correlation_id: format!("request {position}").into(),
            causation_id: position.is_multiple_of(2).then(|| Arc::from("payment-1")),
            actor: position.is_multiple_of(3).then(|| Arc::from("clerk \"7\"")),
        },
    }
}

pub(crate) fn events(from: u64, to: u64) -> Vec<RecordedEvent> {
    (from..=to).map(event).collect()
}

/// Publishes all of it, and waits until all is acknowledged.
pub(crate) async fn publish(opened: &mut Opened, events: &[RecordedEvent]) -> Result<(), BrokerError> {
    let Some(last) = events.last() else { return Ok(()) };
    for page in events.chunks(256) {
        opened.publication.publish(page).await?;
    }
    wait_for(opened, last.position).await
}

pub(crate) async fn wait_for(opened: &mut Opened, position: Position) -> Result<(), BrokerError> {
    let acknowledged = async {
        while opened.publication.acknowledged().await? < position {}
        Ok(())
    };
    tokio::time::timeout(PATIENCE, acknowledged).await.expect("acknowledgements come")
}

pub(crate) fn checkpoint(position: u64, opened: &Opened) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: Some(opened.publication.evidence()) }
}

pub(crate) async fn opened(options: &KafkaOptions, checkpoint: &Checkpoint) -> Opened {
    let start = Instant::now();
    loop {
        match broker(options).open(checkpoint).await {
            Ok(opened) => return opened,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// Why it cannot be opened; it must be told within 15 s.
pub(crate) async fn refusal(options: &KafkaOptions) -> BrokerError {
    let start = Instant::now();
    let opened = broker(options).open(&Checkpoint::default()).await;
    assert!(start.elapsed() < Duration::from_secs(15), "took {:?}", start.elapsed());
    opened.err().expect("it was opened")
}

/// Everything that the topic has.
pub(crate) async fn everything(options: &KafkaOptions) -> Vec<Delivery> {
    let mut reader = KafkaLog::new(options.clone()).open(None).await.unwrap();
    let mut deliveries = Vec::new();
    let reading = async {
        while reader.behind().await.unwrap() > 0 {
            deliveries.extend(reader.next().await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("everything comes");
    deliveries
}

/// Positions as they stand there, each at its first occurrence. Fails when an order's are not in order.
pub(crate) fn first_occurrences(deliveries: &[Delivery]) -> Result<Vec<u64>, String> {
    let mut versions: HashMap<OrderId, u64> = HashMap::new();
    let mut positions = Vec::new();
    for delivery in deliveries {
        let event = delivery.event.clone()?;
        let known = versions.entry(event.order_id.clone()).or_default();
        let Version(version) = event.version;
        // The first version of an order in `event` is 1, but for the order of position 50.
        if *known > 0 && version > *known + 1 {
            return Err(format!("{}: version {version} comes after {known}", event.order_id));
        }
        if *known == 0 && version > 2 {
            return Err(format!("{}: version {version} comes first", event.order_id));
        }
        if version > *known {
            *known = version;
            positions.push(event.position.0);
        }
    }
    positions.sort_unstable();
    Ok(positions)
}

pub(crate) fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).set("log_level", "0").create().unwrap()
}

pub(crate) async fn make_topic(bootstrap: &str, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let made = admin(bootstrap).create_topics(&[new], &AdminOptions::new()).await.unwrap();
    made.into_iter().for_each(|topic| drop(topic.unwrap()));
}

pub(crate) async fn change_topic(bootstrap: &str, topic: &str, name: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    let changed = admin(bootstrap).alter_configs(&[change], &AdminOptions::new()).await.unwrap();
    changed.into_iter().for_each(|topic| drop(topic.unwrap()));
}
