//! Apache Kafka.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use test_servers::kafka::{Sasl, producer_performance};
use test_servers::{Authority, KafkaCluster, KafkaOptions, KafkaServer};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_keeps_its_records_however_it_ends_and_none_when_it_is_wiped() {
    let mut server = KafkaServer::start(&KafkaOptions::default()).unwrap();
    let bootstrap = server.bootstrap();
    server.create_topic("kept", 1).unwrap();
    for end in [KafkaServer::stop, KafkaServer::kill_hard] {
        produce(&bootstrap, "kept").await;
        end(&mut server).unwrap();
        assert!(!server.is_running());
        server.start_again().unwrap();
        assert_eq!(server.bootstrap(), bootstrap);
    }
    assert_eq!(records(&bootstrap, "kept"), 2);
    server.wipe().unwrap();
    assert!(!server.is_running());
    server.start_again().unwrap();
    // There was one of this name, and there is none.
    server.create_topic("kept", 1).unwrap();
    assert!(server.create_topic("kept", 1).is_err());
}

#[tokio::test]
async fn a_frozen_server_says_nothing_until_it_is_thawed() {
    let mut server = KafkaServer::start(&KafkaOptions::default()).unwrap();
    server.create_topic("kept", 1).unwrap();
    let client: BaseConsumer = client(&server.bootstrap()).create().unwrap();
    client.fetch_watermarks("kept", 0, PATIENCE).unwrap();
    server.freeze().unwrap();
    assert!(client.fetch_watermarks("kept", 0, Duration::from_millis(300)).is_err());
    server.thaw().unwrap();
    client.fetch_watermarks("kept", 0, PATIENCE).unwrap();
}

#[test]
fn the_shared_server_is_one_and_can_be_measured() {
    let server = KafkaServer::shared().unwrap();
    assert_eq!(server.bootstrap(), KafkaServer::shared().unwrap().bootstrap());
    server.create_topic("measured", 1).unwrap();
    let figures =
        producer_performance(&server.bootstrap(), "measured", 2000, 100, &[("acks", "all")]).unwrap();
    assert_eq!(figures.records, 2000);
    assert_eq!(records(&server.bootstrap(), "measured"), 2000);
}

#[test]
fn a_password_is_demanded() {
    let options = KafkaOptions::default().user(Sasl::Plain, "app", r#"a "secret" \ word"#);
    let server = KafkaServer::start(&options).unwrap();
    let count = |password: &str| {
        let mut client = client(&server.bootstrap());
        client.set("security.protocol", "sasl_plaintext").set("sasl.mechanism", "PLAIN");
        client.set("sasl.username", "app").set("sasl.password", password);
        let client: BaseConsumer = client.create().unwrap();
        client.fetch_metadata(None, Duration::from_secs(5))
    };
    assert!(count(r#"a "secret" \ word"#).is_ok());
    assert!(count("wrong").is_err());
}

/// With Kafka's own client: the other one is built without OpenSSL, and has neither then.
#[test]
fn tls_and_a_password_that_is_not_sent_are_demanded() {
    let authority = Authority::new("test").unwrap();
    let options = KafkaOptions::default()
        .user(Sasl::ScramSha256, "app", "secret")
        .tls(authority.certificate("127.0.0.1").unwrap());
    let server = KafkaServer::start(&options).unwrap();
    server.create_topic("closed", 1).unwrap();
    let root = authority.root().display().to_string();
    let login = |password: &str| {
        format!(
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=app password={password};"
        )
    };
    let produce = |password: &str| {
        let login = login(password);
        let properties = [
            ("security.protocol", "SASL_SSL"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", &root),
            ("sasl.mechanism", Sasl::ScramSha256.name()),
            ("sasl.jaas.config", &login),
            ("max.block.ms", "5000"),
        ];
        producer_performance(&server.bootstrap(), "closed", 1, 100, &properties)
    };
    assert_eq!(produce("secret").unwrap().records, 1);
    let error = format!("{:#}", produce("wrong").unwrap_err());
    assert!(error.contains("invalid credentials"), "{error}");
}

#[test]
fn a_server_that_refuses_its_settings_says_so() {
    let error = KafkaServer::start(&KafkaOptions::default().setting("num.io.threads", "many")).unwrap_err();
    assert!(format!("{error:#}").contains("num.io.threads"), "{error:#}");
}

#[tokio::test]
async fn another_server_leads_when_the_leader_is_killed() {
    let mut cluster = KafkaCluster::start(3).unwrap();
    let bootstrap = cluster.bootstrap();
    cluster.nodes()[0].create_topic("kept", 1).unwrap();
    let first = leader(&cluster, |_| true);
    produce(&bootstrap, "kept").await;
    cluster.nodes_mut()[first].kill_hard().unwrap();
    leader(&cluster, |leader| leader != first);
    produce(&bootstrap, "kept").await;
    // With nothing: it learns all from the others.
    cluster.nodes_mut()[first].wipe().unwrap();
    cluster.start_again().unwrap();
    assert_eq!(records(&bootstrap, "kept"), 2);
}

fn leader(cluster: &KafkaCluster, accept: impl Fn(usize) -> bool) -> usize {
    let start = Instant::now();
    loop {
        if let Some(leader) = cluster.leader_of("kept", 0).filter(|&leader| accept(leader)) {
            return leader;
        }
        assert!(start.elapsed() < PATIENCE, "no leader in {} s", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("log_level", "0");
    config
}

/// Returns when the record is written to as many servers as must have it.
async fn produce(bootstrap: &str, topic: &str) {
    let producer: FutureProducer = client(bootstrap).set("acks", "all").create().unwrap();
    let record = FutureRecord::<(), _>::to(topic).payload("x").partition(0);
    producer.send(record, PATIENCE).await.unwrap();
}

fn records(bootstrap: &str, topic: &str) -> i64 {
    let client: BaseConsumer = client(bootstrap).create().unwrap();
    let (first, next) = client.fetch_watermarks(topic, 0, PATIENCE).unwrap();
    next - first
}
