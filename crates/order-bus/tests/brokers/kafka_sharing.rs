//! Several that write to one topic.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use order_application::{Broker, BrokerError, Checkpoint, FoundEvent, Position};
use order_bus::KafkaOptions;
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use test_servers::kafka::KafkaServer;

use crate::contract::{assert_left_alone, checkpoint, event, events, until_it_fails};
use crate::kafka_support::{admin, broker, fresh_topic, opened, options, publish, send_note, send_notes};

fn bootstrap() -> String {
    KafkaServer::shared().unwrap().bootstrap()
}

fn positions(found: &[FoundEvent]) -> Vec<u64> {
    found.iter().map(|found| found.position.0).collect()
}

#[tokio::test]
async fn an_event_of_somebody_else_among_those_that_are_acknowledged_ends_the_publication() {
    let topic = fresh_topic();
    let options = options(&bootstrap(), &topic, "");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 10)).await.unwrap();
    let kept = checkpoint(10, &first);
    let mut second = opened(&options, &kept).await;
    publish(&mut second, &events(11, 12)).await.unwrap();

    crate::contract::send(&mut first, &events(11, 30)).await.unwrap();
    let (reached, error) = until_it_fails(&mut first).await;
    let BrokerError::OutOfStep(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("has an event that was not sent here, of position 11, at offset 10"), "{why}");
    assert!(reached <= Position(10), "what lies behind it does not count as acknowledged");
    // Whatever is kept of it, whoever opens the topic next finds what is not of this log.
    for known in [kept, checkpoint(reached.0, &first), Checkpoint::default()] {
        let found = positions(&opened(&options, &known).await.found);
        let often = found.iter().filter(|position| **position == 11).count();
        assert_eq!(often, 2, "{found:?}");
    }
}

#[tokio::test]
async fn messages_that_are_no_events_are_passed_over() {
    let topic = fresh_topic();
    let options = options(&bootstrap(), &topic, "");
    let mut relay = opened(&options, &Checkpoint::default()).await;
    publish(&mut relay, &events(1, 10)).await.unwrap();
    for position in 11..14 {
        send_note(&bootstrap(), &topic);
        publish(&mut relay, &[event(position)]).await.unwrap();
    }
    send_note(&bootstrap(), &topic);
    relay.publication.check().await.unwrap();
    publish(&mut relay, &events(14, 20)).await.unwrap();
    let kept = checkpoint(20, &relay);
    send_note(&bootstrap(), &topic);
    let next = opened(&options, &kept).await;
    assert_eq!((next.resume_after, positions(&next.found)), (Position(20), vec![20, 20]));
    let found = opened(&options, &Checkpoint::default()).await.found;
    assert_eq!(positions(&found), (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_behind_messages_that_are_none_is_found_by_whoever_knows_nothing() {
    let topic = fresh_topic();
    let options = options(&bootstrap(), &topic, "");
    let mut relay = opened(&options, &Checkpoint::default()).await;
    publish(&mut relay, &events(1, 20)).await.unwrap();
    for notes in [1_100, 11_000] {
        send_notes(&bootstrap(), &topic, notes);
        let found = opened(&options, &Checkpoint::default()).await.found;
        assert!(positions(&found).contains(&20), "behind {notes} more: {found:?}");
    }
}

#[tokio::test]
async fn a_topic_with_more_messages_that_are_no_events_than_can_be_looked_at_is_left_alone_unless_it_is_known()
 {
    let topic = fresh_topic();
    let options = options(&bootstrap(), &topic, "");
    let mut relay = opened(&options, &Checkpoint::default()).await;
    publish(&mut relay, &events(1, 20)).await.unwrap();
    let kept = checkpoint(20, &relay);
    send_notes(&bootstrap(), &topic, 100_010);
    assert_left_alone(&broker(&options), &topic).await;
    let mut known = opened(&options, &kept).await;
    assert_eq!(known.resume_after, Position(20));
    publish(&mut known, &events(21, 22)).await.unwrap();
    assert_eq!(positions(&opened(&options, &Checkpoint::default()).await.found), [21, 22]);
}

/// As when a checkpoint's name was another broker's before.
#[tokio::test]
async fn evidence_that_cannot_be_read_says_nothing_of_what_the_topic_has() {
    let topic = fresh_topic();
    let options = options(&bootstrap(), &topic, "");
    drop(opened(&options, &Checkpoint::default()).await);
    send_note(&bootstrap(), &topic);
    let another = Checkpoint { position: Position(50), evidence: Some("{}".into()) };
    let mut relay = opened(&options, &another).await;
    assert_eq!(relay.resume_after, Position::START);
    publish(&mut relay, &events(1, 30)).await.unwrap();
    assert_eq!(opened(&options, &another).await.resume_after, Position(30));
}

/// Events in all of twelve partitions, and their checkpoint.
async fn twelve_partitions() -> (KafkaOptions, Checkpoint) {
    let options = options(&bootstrap(), &fresh_topic(), "&partitions=12");
    let mut relay = opened(&options, &Checkpoint::default()).await;
    let mut all = events(1, 6_000);
    for event in &mut all {
        event.order_id = order_domain::OrderId::new(format!("order-{}", event.position.0 / 3)).unwrap();
    }
    publish(&mut relay, &all).await.unwrap();
    let kept = checkpoint(6_000, &relay);
    (options, kept)
}

#[tokio::test]
async fn the_last_event_of_each_partition_is_found_within_a_second() {
    let (options, kept) = twelve_partitions().await;
    for known in [kept, Checkpoint::default()] {
        let mut quickest = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let opened = broker(&options).open(&known).await.unwrap();
            quickest = quickest.min(start.elapsed());
            let partitions: BTreeSet<_> = opened.found.iter().map(|found| found.place.clone()).collect();
            assert!(
                partitions.iter().filter(|place| place.starts_with("partition ")).count() == 12,
                "{partitions:?}"
            );
        }
        eprintln!("opened in {quickest:?}, checkpoint {}", known.position);
        assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    }
}

#[tokio::test]
async fn where_retention_has_left_nothing_there_is_nothing_to_compare() {
    let topic = fresh_topic();
    let options = options(&bootstrap(), &topic, "&partitions=2");
    let mut relay = opened(&options, &Checkpoint::default()).await;
    publish(&mut relay, &events(1, 100)).await.unwrap();
    let kept = checkpoint(100, &relay);
    let mut ends = TopicPartitionList::new();
    for partition in 0..2 {
        ends.add_partition_offset(&topic, partition, Offset::End).unwrap();
    }
    drop(admin(&bootstrap()).delete_records(&ends, &AdminOptions::new()).await.unwrap());
    assert_eq!(opened(&options, &Checkpoint::default()).await.found, []);
    let resumed = opened(&options, &kept).await;
    let told = resumed.found.iter().map(|found| &*found.place).collect::<Vec<_>>();
    assert_eq!(told, [format!("the checkpoint of the topic {topic}")], "what was acknowledged");
    assert_eq!((resumed.resume_after, resumed.found[0].position), (Position(100), Position(100)));
}
