//! What tests of Kafka have in common.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use order_application::{
    Broker, BrokerError, BrokerLog, Checkpoint, Delivery, Opened, Position, RecordedEvent,
};
use order_bus::{KafkaBroker, KafkaLog, KafkaOptions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::sync::watch;

use crate::contract::{PATIENCE, SOON, checkpoint, events, send, within};

pub(crate) const SOURCE: &str = "/order-service";

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

/// Publishes all of it page by page, and waits until all is acknowledged.
pub(crate) async fn publish(opened: &mut Opened, events: &[RecordedEvent]) -> Result<(), BrokerError> {
    for page in events.chunks(256) {
        send(opened, page).await?;
    }
    let last = events.last().map_or(Position::START, |event| event.position);
    within(async {
        while opened.publication.acknowledged().await? < last {}
        Ok(())
    })
    .await
}

/// Opens it, as often as it takes: a server that was just started may need a moment.
pub(crate) async fn opened(options: &KafkaOptions, checkpoint: &Checkpoint) -> Opened {
    let start = Instant::now();
    loop {
        match broker(options).open(checkpoint).await {
            Ok(opened) => return opened,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// Why it cannot be opened, which must be told soon.
pub(crate) async fn refusal(options: &KafkaOptions) -> BrokerError {
    let start = Instant::now();
    let opened = broker(options).open(&Checkpoint::default()).await;
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    opened.err().expect("it was opened")
}

/// Everything that the topic has.
pub(crate) async fn deliveries(options: &KafkaOptions) -> Vec<Delivery> {
    let mut reader = KafkaLog::new(options.clone()).open(None).await.unwrap();
    let mut deliveries = Vec::new();
    within(async {
        while reader.behind().await.unwrap() > 0 {
            deliveries.extend(reader.next().await.unwrap());
        }
    })
    .await;
    deliveries
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

/// Sends a message that is no event.
pub(crate) fn send_note(bootstrap: &str, topic: &str) {
    send_notes(bootstrap, topic, 1);
}

/// Sends messages that are no events.
pub(crate) fn send_notes(bootstrap: &str, topic: &str, notes: usize) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("log_level", "0").set("linger.ms", "20");
    let producer: BaseProducer = config.set("queue.buffering.max.messages", "1000000").create().unwrap();
    for _ in 0..notes {
        producer.send(BaseRecord::<(), str>::to(topic).payload("hello")).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Most events that are under way.
const WINDOW: u64 = 4_000;

/// A relay in its simplest form: publishes the log up to an event, and goes on from its last checkpoint whatever happens.
/// Answers with what happened.
pub(crate) async fn relay(options: KafkaOptions, to: u64, reached: watch::Sender<u64>) -> Vec<BrokerError> {
    let mut kept = Checkpoint::default();
    let mut errors = Vec::new();
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < 2 * PATIENCE, "{errors:?}");
        let error = match broker(&options).open(&kept).await {
            Err(error) => error,
            Ok(mut opened) => match session(&mut opened, to, &mut kept, &reached).await {
                Ok(()) => return errors,
                Err(error) => error,
            },
        };
        errors.push(error);
    }
}

async fn session(
    opened: &mut Opened,
    to: u64,
    kept: &mut Checkpoint,
    reached: &watch::Sender<u64>,
) -> Result<(), BrokerError> {
    let mut sent = opened.resume_after.0;
    let mut acknowledged = sent;
    while acknowledged < to {
        if sent < to && sent - acknowledged < WINDOW {
            let page = (sent + 200).min(to);
            send(opened, &events(sent + 1, page)).await?;
            sent = page;
            continue;
        }
        let waiting = tokio::time::timeout(PATIENCE, opened.publication.acknowledged());
        let before = acknowledged;
        acknowledged = waiting.await.expect("acknowledgements come")?.0;
        reached.send_replace(acknowledged);
        // A checkpoint is always somewhat behind.
        if acknowledged / 1_000 > before / 1_000 {
            *kept = checkpoint(acknowledged, opened);
        }
    }
    Ok(())
}
