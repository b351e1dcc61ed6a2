//! Reading Kafka as a replica does.

use std::collections::BTreeMap;
use std::time::Duration;

use order_application::{BrokerError, BrokerLog, BrokerReader, Checkpoint, Delivery};
use order_bus::{KafkaLog, KafkaOptions};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use test_servers::kafka::KafkaServer;

use crate::contract::{PATIENCE, events, within};
use crate::kafka_support::{admin, deliveries, fresh_topic, make_topic, opened, options, publish};

fn bootstrap() -> String {
    KafkaServer::shared().unwrap().bootstrap()
}

async fn filled(topic: &str, partitions: u16, to: u64) -> KafkaOptions {
    let options = options(&bootstrap(), topic, &format!("&partitions={partitions}"));
    let mut opened = opened(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, to)).await.unwrap();
    options
}

async fn reader(options: &KafkaOptions, bookmark: Option<&str>) -> Box<dyn BrokerReader> {
    KafkaLog::new(options.clone()).open(bookmark).await.unwrap()
}

async fn next(reader: &mut Box<dyn BrokerReader>) -> Vec<Delivery> {
    within(reader.next()).await.unwrap()
}

async fn rest(reader: &mut Box<dyn BrokerReader>) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while reader.behind().await.unwrap() > 0 {
        deliveries.extend(next(reader).await);
    }
    deliveries
}

/// Of each partition the offsets, in the order in which they came.
fn offsets(deliveries: &[Delivery]) -> BTreeMap<usize, Vec<u64>> {
    let mut offsets: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for delivery in deliveries {
        offsets.entry(delivery.partition).or_default().push(delivery.offset);
    }
    offsets
}

#[tokio::test]
async fn a_bookmark_is_where_the_next_reader_goes_on() {
    let options = filled(&fresh_topic(), 3, 3_000).await;
    let mut first = reader(&options, None).await;
    assert_eq!(first.partitions(), 3);
    let mut all = next(&mut first).await;
    let mut marks = vec![None; 3];
    for delivery in &all {
        marks[delivery.partition] = Some(delivery.offset + 1);
    }
    let bookmark = first.bookmark(&marks);
    drop(first);
    all.extend(rest(&mut reader(&options, Some(&bookmark)).await).await);
    assert_eq!(all.len(), 3_000);
    for (partition, offsets) in offsets(&all) {
        let count = u64::try_from(offsets.len()).unwrap();
        assert_eq!(offsets, (0..count).collect::<Vec<_>>(), "partition {partition}");
    }
    // A reader that was given nothing bookmarks where it began.
    let second = reader(&options, Some(&bookmark)).await;
    assert_eq!(second.bookmark(&[None, None, None]), bookmark);
}

#[tokio::test]
async fn a_bookmark_beyond_the_end_or_of_another_topic_means_the_beginning() {
    let long = filled(&fresh_topic(), 1, 500).await;
    let short = filled(&fresh_topic(), 1, 100).await;
    let bookmark = reader(&long, None).await.bookmark(&[Some(400)]);
    assert_eq!(rest(&mut reader(&short, Some(&bookmark)).await).await.len(), 100);
    let beyond = reader(&short, None).await.bookmark(&[Some(101)]);
    assert_eq!(rest(&mut reader(&short, Some(&beyond)).await).await.len(), 100);
    let end = reader(&short, None).await.bookmark(&[Some(100)]);
    assert_eq!(reader(&short, Some(&end)).await.behind().await, Ok(0));
}

#[tokio::test]
async fn what_is_paused_is_not_delivered_until_it_goes_on_where_it_was() {
    let options = filled(&fresh_topic(), 3, 30_000).await;
    let mut reader = reader(&options, None).await;
    let mut all = next(&mut reader).await;
    for round in 0..10 {
        let paused = round % 3;
        reader.set_paused(paused, true).unwrap();
        let behind = reader.behind().await.unwrap();
        for _ in 0..3 {
            let Ok(more) = tokio::time::timeout(Duration::from_millis(500), reader.next()).await else {
                break;
            };
            let more = more.unwrap();
            assert!(more.iter().all(|delivery| delivery.partition != paused));
            all.extend(more);
        }
        assert!(reader.behind().await.unwrap() <= behind);
        reader.set_paused(paused, false).unwrap();
    }
    all.extend(rest(&mut reader).await);
    assert_eq!(all.len(), 30_000);
    for (partition, offsets) in offsets(&all) {
        let count = u64::try_from(offsets.len()).unwrap();
        assert_eq!(offsets, (0..count).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[tokio::test]
async fn while_everything_is_paused_nothing_comes_and_it_is_known_how_much_would() {
    let options = filled(&fresh_topic(), 2, 2_000).await;
    let mut reader = reader(&options, None).await;
    reader.set_paused(0, true).unwrap();
    reader.set_paused(1, true).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), reader.next()).await.is_err());
    assert_eq!(reader.behind().await, Ok(2_000));
    reader.set_paused(0, false).unwrap();
    reader.set_paused(1, false).unwrap();
    assert_eq!(rest(&mut reader).await.len(), 2_000);
}

#[tokio::test]
async fn what_is_no_event_is_delivered_as_such() {
    let topic = fresh_topic();
    let options = filled(&topic, 1, 1).await;
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap()).set("log_level", "0").create().unwrap();
    producer.send(BaseRecord::<(), str>::to(&topic).payload("hello")).unwrap();
    producer.send(BaseRecord::<str, ()>::to(&topic).key("tombstone")).unwrap();
    producer.flush(PATIENCE).unwrap();
    let read = deliveries(&options).await;
    assert!(read[0].event.is_ok());
    assert!(read[1].event.as_ref().unwrap_err().contains("specversion"), "{read:?}");
    assert!(read[2].event.as_ref().unwrap_err().contains("no value"), "{read:?}");
}

#[tokio::test]
async fn no_topic_is_told_and_not_made() {
    let options = options(&bootstrap(), &fresh_topic(), "");
    for _ in 0..2 {
        let missing = KafkaLog::new(options.clone()).open(None).await.err();
        assert!(matches!(missing, Some(BrokerError::Unavailable(_))), "{missing:?}");
    }
}

#[tokio::test]
async fn a_topic_that_changes_under_a_reader_ends_it() {
    use rdkafka::admin::{AdminOptions, NewPartitions};

    let topic = fresh_topic();
    let options = filled(&topic, 1, 10).await;
    let mut reader = reader(&options, None).await;
    assert_eq!(rest(&mut reader).await.len(), 10);
    let more = NewPartitions::new(&topic, 2);
    let admin = admin(&bootstrap());
    drop(admin.create_partitions([&more], &AdminOptions::new()).await.unwrap());
    let grown = reader.behind().await;
    assert!(matches!(grown, Err(BrokerError::OutOfStep(_))), "{grown:?}");

    let mut reader = self::reader(&options, None).await;
    assert_eq!(rest(&mut reader).await.len(), 10);
    drop(admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap());
    make_topic(&bootstrap(), &topic, 2, &[]).await;
    let anew = within(reader.next()).await;
    assert!(anew.is_err(), "{anew:?}");
}
