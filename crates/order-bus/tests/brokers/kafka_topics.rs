//! Topics as they are made, and as they are found.

use std::collections::BTreeSet;
use std::io;
use std::sync::{LazyLock, Mutex};

use order_application::{Broker, BrokerError, Checkpoint, Position};
use rdkafka::admin::{AdminOptions, NewPartitions, ResourceSpecifier};
use test_servers::KafkaServer;

use crate::contract::{checkpoint, events, positions};
use crate::kafka_support::{admin, broker, deliveries, fresh_topic, make_topic, opened, options, publish};

fn bootstrap() -> String {
    KafkaServer::shared().unwrap().bootstrap()
}

/// What was warned of in this process. Each test has topics of its own.
struct Warnings(Mutex<Vec<u8>>);

impl Warnings {
    fn heard() -> &'static Self {
        static HEARD: LazyLock<Warnings> = LazyLock::new(|| {
            let warnings =
                tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN);
            warnings.with_ansi(false).with_writer(|| Writer).init();
            Warnings(Mutex::default())
        });
        struct Writer;
        impl io::Write for Writer {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                HEARD.0.lock().unwrap().extend_from_slice(text);
                Ok(text.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        &HEARD
    }

    fn of(&self, topic: &str) -> Vec<String> {
        let told = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let names_it = |line: &&str| line.contains(&format!("topic {topic} "));
        told.lines().filter(names_it).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_topic_that_is_there_is_taken_as_it_is() {
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    let said = Warnings::heard();
    make_topic(&bootstrap, &topic, 4, &[("retention.ms", "123456789")]).await;
    let mut taken = opened(&options(&bootstrap, &topic, ""), &Checkpoint::default()).await;
    publish(&mut taken, &events(1, 10)).await.unwrap();
    assert_eq!(said.of(&topic), [""; 0], "who made it wanted it so");
    let asked = broker(&options(&bootstrap, &topic, "&partitions=3")).open(&Checkpoint::default()).await;
    let Some(BrokerError::Misconfigured(why)) = asked.err() else { panic!("it is not what was asked for") };
    assert!(why.contains("has 4 partitions") && !why.contains('\n'), "{why}");
}

#[tokio::test]
async fn a_topic_that_is_made_here_keeps_everything() {
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    let said = Warnings::heard();
    drop(opened(&options(&bootstrap, &topic, ""), &Checkpoint::default()).await);
    assert_eq!(said.of(&topic), [""; 0]);
    let named = [ResourceSpecifier::Topic(&topic)];
    let described = admin(&bootstrap).describe_configs(&named, &AdminOptions::new()).await.unwrap();
    let described = described.into_iter().next().unwrap().unwrap();
    let value = |name: &str| described.get(name).and_then(|entry| entry.value.clone()).unwrap();
    assert_eq!(["cleanup.policy", "retention.ms", "retention.bytes"].map(value), ["delete", "-1", "-1"]);
}

/// Nobody can take them away again: it is said, and whoever has published there goes on.
#[tokio::test]
async fn partitions_that_are_added_do_not_stop_a_relay() {
    let said = Warnings::heard();
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    let options = options(&bootstrap, &topic, "&partitions=3");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 100)).await.unwrap();
    let more = [NewPartitions::new(&topic, 5)];
    let added = admin(&bootstrap).create_partitions(&more, &AdminOptions::new()).await.unwrap();
    added.into_iter().for_each(|topic| drop(topic.unwrap()));
    for _ in 0..2 {
        first.publication.check().await.unwrap();
    }
    let told = said.of(&topic);
    assert!(told.len() == 1 && told[0].contains("has 5 partitions, and had 3"), "once: {told:?}");
    let kept = checkpoint(100, &first);
    drop(first);
    let mut second = opened(&options, &kept).await;
    assert_eq!(second.resume_after, Position(100));
    publish(&mut second, &events(101, 600)).await.unwrap();
    second.publication.check().await.unwrap();
    let all = deliveries(&options).await;
    let used: BTreeSet<_> = all.iter().map(|delivery| delivery.partition).collect();
    assert_eq!(used.len(), 5, "{used:?}");
    let mut all = positions(&all);
    all.sort_unstable();
    assert_eq!(all, (1..=600).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_may_surprise_of_a_topic_is_said_when_it_is_opened() {
    let said = Warnings::heard();
    for (settings, says) in [
        (vec![("cleanup.policy", "compact")], "is compacted (cleanup.policy=compact)"),
        (vec![], "keeps messages for 7 days, which is its broker's default"),
        (vec![("retention.ms", "-1"), ("max.message.bytes", "20000")], "raise its max.message.bytes"),
    ] {
        let topic = fresh_topic();
        make_topic(&bootstrap(), &topic, 1, &settings).await;
        drop(opened(&options(&bootstrap(), &topic, ""), &Checkpoint::default()).await);
        let told = said.of(&topic);
        assert!(told.len() == 1 && told[0].contains(says), "{settings:?}: {told:?}");
    }
}
