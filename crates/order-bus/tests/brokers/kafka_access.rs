//! Who is let in, and what is said to those who are not.

use std::io::{Read, Write};
use std::net::TcpListener;

use order_application::{BrokerError, BrokerLog, Checkpoint};
use order_bus::{KafkaLog, KafkaOptions};
use test_servers::Authority;
use test_servers::kafka::{KafkaOptions as ServerOptions, KafkaServer, Sasl};

use crate::contract::events;
use crate::kafka_support::{deliveries, opened, options, publish, refusal};

const PASSWORD: &str = "s3cret:@/%";
const ENCODED: &str = "s3cret%3A%40%2F%25";

fn parsed(url: &str) -> KafkaOptions {
    KafkaOptions::parse(url).unwrap()
}

async fn works(url: &str) {
    let options = parsed(url);
    let mut opened = opened(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 10)).await.unwrap();
    assert_eq!(deliveries(&options).await.len(), 10);
}

/// It is told within seconds, in one line that has these words; to readers as well.
async fn misconfigured(url: &str, words: &str) {
    let options = parsed(url);
    let read = KafkaLog::new(options.clone()).open(None).await.err().expect("it was opened");
    for error in [refusal(&options).await, read] {
        let BrokerError::Misconfigured(why) = &error else { panic!("{url}: {error:?}") };
        assert!(why.contains(words) && !why.contains('\n') && !why.contains("s3cret"), "{why}");
    }
}

async fn unavailable(url: &str, words: &str) {
    let error = refusal(&parsed(url)).await;
    let BrokerError::Unavailable(why) = &error else { panic!("{url}: {error:?}") };
    assert!(why.contains(words) && !why.contains('\n'), "{why}");
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let server = KafkaServer::start(&ServerOptions::default().user(Sasl::Plain, "app", PASSWORD)).unwrap();
    let at = server.bootstrap();
    works(&format!("kafka://app:{ENCODED}@{at}")).await;
    misconfigured(&format!("kafka://app:s3cret@{at}"), "uthentication failed").await;
    misconfigured(&format!("kafka://app:{ENCODED}@{at}?mechanism=SCRAM-SHA-256"), "SCRAM-SHA-256").await;
}

#[cfg(feature = "kafka-tls")]
#[tokio::test]
async fn tls_is_spoken_and_the_password_is_not() {
    let authority = Authority::new("test").unwrap();
    let another = Authority::new("another").unwrap();
    for (sasl, mechanism) in [(Sasl::ScramSha256, "SCRAM-SHA-256"), (Sasl::ScramSha512, "SCRAM-SHA-512")] {
        let options = ServerOptions::default()
            .user(sasl, "app", "s3cret")
            .tls(authority.certificate("127.0.0.1").unwrap());
        let server = KafkaServer::start(&options).unwrap();
        let at = server.bootstrap();
        let ca = authority.root().display().to_string();
        works(&format!("kafka://app:s3cret@{at}?mechanism={mechanism}&ca={ca}")).await;
        misconfigured(&format!("kafka://app:no@{at}?mechanism={mechanism}&ca={ca}"), "uthentication").await;
        let other = another.root().display().to_string();
        misconfigured(&format!("kafka://app:s3cret@{at}?mechanism={mechanism}&ca={other}"), "certificate")
            .await;
        let system = format!("kafka://app:s3cret@{at}?mechanism={mechanism}&tls=required");
        misconfigured(&system, "certificate").await;
        misconfigured(&format!("kafka://app:s3cret@{at}?ca=/is/not/there.pem"), "/is/not/there.pem").await;
        unavailable(&format!("kafka://{at}"), "tls=required").await;
    }
}

#[tokio::test]
async fn who_may_not_make_the_topic_is_told() {
    // Users may see what there is, and no more.
    let options = ServerOptions::default()
        .user(Sasl::Plain, "app", "s3cret")
        .setting("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .setting("super.users", "User:ANONYMOUS");
    let server = KafkaServer::start(&options).unwrap();
    misconfigured_to_publish(&format!("kafka://app:s3cret@{}", server.bootstrap()), "orders.events").await;
}

async fn misconfigured_to_publish(url: &str, words: &str) {
    let error = refusal(&parsed(url)).await;
    let BrokerError::Misconfigured(why) = &error else { panic!("{url}: {error:?}") };
    assert!(why.contains(words) && why.contains("uthoriz") && !why.contains('\n'), "{why}");
}

/// Not that longer answers are to be taken, which is what librdkafka says.
#[tokio::test]
async fn what_is_no_kafka_broker_is_told() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in server.incoming() {
            let mut connection = connection.unwrap();
            // What was asked is read first: otherwise the connection is reset, and the answer may be lost.
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    unavailable(&format!("kafka://{at}"), "is no Kafka broker (it begins with \"HTTP\")").await;
}

#[tokio::test]
async fn nobody_there_is_told() {
    unavailable("kafka://nobody.invalid", "nobody.invalid").await;
    unavailable("kafka://127.0.0.1:1", "127.0.0.1:1").await;
    let server = KafkaServer::shared().unwrap();
    // One of them is enough.
    let options = options(&format!("127.0.0.1:1,nobody.invalid,{}", server.bootstrap()), "reached", "");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 10)).await.unwrap();
}
