//! Kafka through the contract suite, and what is particular to publishing there.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use order_application::{Broker, BrokerError, BrokerLog, Checkpoint, Position};
use order_bus::{KafkaBroker, KafkaLog, KafkaOptions};
use test_servers::KafkaServer;

use crate::contract::{
    Fixture, assert_complete_and_in_order, checkpoint, contract_suite, events, positions, read, send,
    until_it_fails,
};
use crate::kafka_support::{
    SOURCE, broker, change_topic, deliveries, fresh_topic, make_topic, opened, options, publish,
};

contract_suite!(KafkaFixture);

pub(crate) struct KafkaFixture {
    options: KafkaOptions,
    /// If it is its own.
    server: Option<KafkaServer>,
}

impl KafkaFixture {
    /// On a server of its own, by a URL with these parameters.
    pub(crate) fn own_with(parameters: &str) -> Self {
        let server = KafkaServer::start(&test_servers::KafkaOptions::default()).unwrap();
        Self { options: options(&server.bootstrap(), "orders.events", parameters), server: Some(server) }
    }

    fn server(&mut self) -> &mut KafkaServer {
        self.server.as_mut().expect("the server is its own")
    }

    fn store(&mut self) -> [std::path::PathBuf; 2] {
        ["store", "copy"].map(|name| self.server().directory().join(name))
    }
}

impl Fixture for KafkaFixture {
    const TOO_LARGE_BYTES: usize = 2 * 1024 * 1024;
    const TAKES_WHAT_IS_LATE: bool = true;

    fn shared() -> Self {
        // Compressed, nothing would be too large.
        Self { options: options(&bootstrap(), &fresh_topic(), "&compression=none"), server: None }
    }

    fn own() -> Self {
        Self::own_with("")
    }

    fn unknown_host() -> Arc<dyn Broker> {
        Arc::new(broker(&KafkaOptions::parse("kafka://no-such-host.invalid").unwrap()))
    }

    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(KafkaBroker::new(self.options.clone(), SOURCE))
    }

    fn log(&self) -> Arc<dyn BrokerLog> {
        Arc::new(KafkaLog::new(self.options.clone()))
    }

    fn kill_hard(&mut self) {
        self.server().kill_hard().unwrap();
    }

    fn start_again(&mut self) {
        self.server().start_again().unwrap();
    }

    fn wipe(&mut self) {
        self.server().wipe().unwrap();
        self.server().start_again().unwrap();
        let bootstrap = self.server().bootstrap();
        // Readers do not make it, and some look before anybody publishes.
        self.options = options(&bootstrap, "orders.events", "");
    }

    fn put_copy_aside(&mut self) {
        self.server().stop().unwrap();
        let [store, copy] = self.store();
        assert!(Command::new("cp").arg("-a").args([store, copy]).status().unwrap().success());
        self.server().start_again().unwrap();
    }

    fn go_back_to_copy(&mut self) {
        self.server().wipe().unwrap();
        let [store, copy] = self.store();
        assert!(Command::new("cp").arg("-a").args([copy, store]).status().unwrap().success());
        self.server().start_again().unwrap();
    }

    fn freeze(&mut self) {
        self.server().freeze().unwrap();
    }

    fn thaw(&mut self) {
        self.server().thaw().unwrap();
    }
}

fn bootstrap() -> String {
    KafkaServer::shared().unwrap().bootstrap()
}

#[tokio::test]
async fn several_partitions_keep_each_orders_order_and_acknowledge_without_gaps() {
    let options = options(&bootstrap(), &fresh_topic(), "&partitions=5");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    send(&mut opened, &events(1, 5_000)).await.unwrap();
    let mut before = Position::START;
    while before < Position(5_000) {
        let now = opened.publication.acknowledged().await.unwrap();
        assert!(now > before, "it answers when there is more");
        before = now;
    }
    let deliveries = deliveries(&options).await;
    let used: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.partition).collect();
    assert!(used.len() > 1);
    assert_complete_and_in_order(&positions(&deliveries), 5_000);
    assert_eq!(deliveries.len(), 5_000);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_until_the_topic_takes_it() {
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    make_topic(&bootstrap, &topic, 1, &[("max.message.bytes", "20000")]).await;
    // Together they are far beyond the limit, one alone is not; but for one.
    let options = options(&bootstrap, &topic, "&compression=none");
    let mut all = events(1, 300);
    all[199].data = format!(r#"{{"long":"{}"}}"#, "x".repeat(30_000)).into();
    let mut first = opened(&options, &Checkpoint::default()).await;
    send(&mut first, &all).await.unwrap();
    let (reached, error) = until_it_fails(&mut first).await;
    assert_eq!(reached, Position(199), "all before it is acknowledged");
    let BrokerError::Refused { position, why } = error else { panic!("{error:?}") };
    assert_eq!(position, Position(200));
    assert!(why.contains("max.message.bytes"), "{why}");
    let kept = checkpoint(199, &first);
    drop(first);
    change_topic(&bootstrap, &topic, "max.message.bytes", "100000").await;
    let mut second = opened(&options, &kept).await;
    assert_eq!(second.resume_after, Position(199));
    publish(&mut second, &all[199..]).await.unwrap();
    let read: Vec<_> =
        deliveries(&options).await.into_iter().map(|delivery| delivery.event.unwrap().event).collect();
    assert_eq!(read, all);
}

#[tokio::test]
async fn nothing_passes_an_event_that_was_refused_even_while_nobody_looks() {
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    make_topic(&bootstrap, &topic, 1, &[("max.message.bytes", "20000")]).await;
    let options = options(&bootstrap, &topic, "&compression=none");
    let mut all = events(1, 300);
    all[199].data = format!(r#"{{"long":"{}"}}"#, "x".repeat(30_000)).into();
    let mut opened = opened(&options, &Checkpoint::default()).await;
    send(&mut opened, &all).await.unwrap();
    let mut reader = KafkaLog::new(options).open(None).await.unwrap();
    assert_eq!(read(&mut *reader, 199).await.len(), 199);
    let more = tokio::time::timeout(Duration::from_secs(2), reader.next()).await;
    assert!(more.is_err(), "{:?}", more.map(|more| positions(&more.unwrap())));
}
