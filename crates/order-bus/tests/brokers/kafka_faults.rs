//! Kafka that ends, forgets, or loses its leader.

use std::time::{Duration, Instant};

use order_application::{BrokerError, Checkpoint, Position};
use order_bus::KafkaOptions;
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use test_servers::kafka::{KafkaCluster, KafkaOptions as ServerOptions, KafkaServer};
use tokio::sync::watch;

use crate::contract::{
    PATIENCE, assert_complete_and_in_order, checkpoint, events, loses_its_end_under_load, positions, send,
    until_it_fails,
};
use crate::kafka::KafkaFixture;
use crate::kafka_support::{
    admin, deliveries, fresh_topic, make_topic, opened, options, publish, relay, send_note,
};

fn server() -> KafkaServer {
    KafkaServer::start(&ServerOptions::default()).unwrap()
}

async fn delete_topic(bootstrap: &str, topic: &str) {
    let deleted = admin(bootstrap).delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    deleted.into_iter().for_each(|topic| drop(topic.unwrap()));
}

async fn reached(progress: &mut watch::Receiver<u64>, position: u64) {
    let waiting = progress.wait_for(|reached| *reached >= position);
    drop(tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap());
}

async fn assert_complete(options: &KafkaOptions, to: u64) {
    assert_complete_and_in_order(&positions(&deliveries(options).await), to);
}

#[tokio::test]
async fn a_server_that_is_killed_with_a_full_window_gets_everything_in_order() {
    let mut server = server();
    let options = options(&server.bootstrap(), "orders.events", "&partitions=3");
    let (progress, mut watched) = watch::channel(0);
    let relay = tokio::spawn(relay(options.clone(), 60_000, progress));
    for position in [10_000, 30_000] {
        reached(&mut watched, position).await;
        server.kill_hard().unwrap();
        server.start_again().unwrap();
    }
    relay.await.unwrap();
    assert_complete(&options, 60_000).await;
}

#[tokio::test]
async fn a_relay_that_is_cut_off_with_a_full_window_gets_everything_in_order() {
    let options = options(&KafkaServer::shared().unwrap().bootstrap(), &fresh_topic(), "&partitions=3");
    let mut kept = Checkpoint::default();
    for _ in 0..5 {
        let mut opened = opened(&options, &kept).await;
        let from = opened.resume_after.0;
        send(&mut opened, &events(from + 1, from + 4_000)).await.unwrap();
        let position = opened.publication.acknowledged().await.unwrap();
        kept = checkpoint(position.0, &opened);
        // Dropped with all that is under way.
    }
    let mut opened = opened(&options, &kept).await;
    let from = opened.resume_after.0 + 1;
    publish(&mut opened, &events(from, 25_000)).await.unwrap();
    assert_complete(&options, 25_000).await;
}

#[tokio::test]
async fn a_topic_that_goes_away_is_noticed_while_nothing_is_published() {
    let (bootstrap, topic) = (KafkaServer::shared().unwrap().bootstrap(), fresh_topic());
    let options = options(&bootstrap, &topic, "&partitions=2");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 500)).await.unwrap();
    opened.publication.check().await.unwrap();
    delete_topic(&bootstrap, &topic).await;
    let gone = opened.publication.check().await;
    assert!(matches!(gone, Err(BrokerError::OutOfStep(_))), "{gone:?}");
    make_topic(&bootstrap, &topic, 2, &[]).await;
    let empty = opened.publication.check().await;
    assert!(matches!(empty, Err(BrokerError::OutOfStep(_))), "{empty:?}");
    let kept = checkpoint(500, &opened);
    assert_eq!(crate::kafka_support::opened(&options, &kept).await.resume_after, Position::START);
}

#[tokio::test]
async fn a_topic_that_is_made_anew_under_way_is_noticed_by_its_offsets() {
    let (bootstrap, topic) = (KafkaServer::shared().unwrap().bootstrap(), fresh_topic());
    let options = options(&bootstrap, &topic, "");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 500)).await.unwrap();
    delete_topic(&bootstrap, &topic).await;
    make_topic(&bootstrap, &topic, 1, &[]).await;
    let lost = publish(&mut opened, &events(501, 600)).await;
    assert!(matches!(lost, Err(BrokerError::OutOfStep(_))), "{lost:?}");
    // Some of these may be there now, without what belongs before them.
    let kept = checkpoint(500, &opened);
    assert_eq!(crate::kafka_support::opened(&options, &kept).await.resume_after, Position::START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_have_lost_their_ends_under_load_have_no_gap() {
    loses_its_end_under_load(KafkaFixture::own_with("&partitions=3")).await;
}

/// A relay that was frozen since before the checkpoint, and wakes up when the topic has lost its end.
#[tokio::test]
async fn what_a_late_relay_sends_behind_a_loss_is_not_taken_for_all() {
    let (bootstrap, topic) = (KafkaServer::shared().unwrap().bootstrap(), fresh_topic());
    let options = options(&bootstrap, &topic, "&partitions=3");
    let mut relay = opened(&options, &Checkpoint::default()).await;
    publish(&mut relay, &events(1, 100)).await.unwrap();
    // The evidence of one whose topic had more, up to 400, which is lost; what is under way from 200 on has come.
    let evidence: Box<str> = later(&relay.publication.evidence(), 300, 300).into();
    let kept = Checkpoint { position: Position(400), evidence: Some(evidence) };
    let mut late = opened(&options, &Checkpoint { position: Position(199), evidence: None }).await;
    assert_eq!(late.resume_after, Position(100), "whoever knows nothing sees that this is not all");
    let evidence = later(&relay.publication.evidence(), 0, 99).into();
    let known = Checkpoint { position: Position(199), evidence: Some(evidence) };
    late = opened(&options, &known).await;
    publish(&mut late, &events(200, 300)).await.unwrap();
    assert_eq!(opened(&options, &kept).await.resume_after, Position(100));
}

/// The same evidence with the last message of each partition so many offsets later, and the last event so many positions.
fn later(evidence: &str, offsets: i64, positions: i64) -> String {
    let mut evidence: serde_json::Value = serde_json::from_str(evidence).unwrap();
    let position = evidence["event"]["position"].as_i64().unwrap();
    evidence["event"]["position"] = (position + positions).into();
    for last in evidence["partitions"].as_object_mut().unwrap().values_mut() {
        let offset = last["offset"].as_i64().unwrap();
        last["offset"] = (offset + offsets).into();
    }
    evidence.to_string()
}

#[tokio::test]
async fn a_topic_that_only_has_what_came_later_counts_as_empty() {
    let (bootstrap, topic) = (KafkaServer::shared().unwrap().bootstrap(), fresh_topic());
    let options = options(&bootstrap, &topic, "");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 500)).await.unwrap();
    let kept = checkpoint(500, &first);
    delete_topic(&bootstrap, &topic).await;
    make_topic(&bootstrap, &topic, 1, &[]).await;
    send_note(&bootstrap, &topic);
    for (more, to) in [("fewer", 600), ("more", 1200)] {
        let after = Checkpoint { position: Position(to - 100), evidence: None };
        let mut other = opened(&options, &after).await;
        publish(&mut other, &events(to - 99, to)).await.unwrap();
        assert_eq!(opened(&options, &kept).await.resume_after, Position::START, "{more} than it had");
        publish(&mut other, &events(to + 1, to + 500)).await.unwrap();
    }
}

#[tokio::test]
async fn where_only_the_end_is_lost_it_goes_on_after_what_is_left() {
    let options = options(&KafkaServer::shared().unwrap().bootstrap(), &fresh_topic(), "");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 300)).await.unwrap();
    // As after a leader that had not got the last hundred: the evidence names an offset beyond the end.
    let evidence = later(&first.publication.evidence(), 100, 100).into();
    let kept = Checkpoint { position: Position(400), evidence: Some(evidence) };
    assert_eq!(opened(&options, &kept).await.resume_after, Position(300));
}

#[tokio::test]
async fn what_was_removed_for_its_age_is_not_forgotten() {
    let (bootstrap, topic) = (KafkaServer::shared().unwrap().bootstrap(), fresh_topic());
    let options = options(&bootstrap, &topic, "&partitions=2");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 500)).await.unwrap();
    let kept = checkpoint(500, &first);
    for end in [Offset::Offset(100), Offset::End] {
        let mut places = TopicPartitionList::new();
        for partition in 0..2 {
            places.add_partition_offset(&topic, partition, end).unwrap();
        }
        drop(admin(&bootstrap).delete_records(&places, &AdminOptions::new()).await.unwrap());
        assert_eq!(opened(&options, &kept).await.resume_after, Position(500), "{end:?}");
        first.publication.check().await.unwrap();
    }
}

#[tokio::test]
async fn of_three_servers_the_leader_is_killed_while_events_are_under_way() {
    let mut cluster = KafkaCluster::start(3).unwrap();
    let options = options(&cluster.bootstrap(), "orders.events", "&partitions=3&replication=3");
    let (progress, mut watched) = watch::channel(0);
    let relay = tokio::spawn(relay(options.clone(), 60_000, progress));
    for (position, partition) in [(10_000, 0), (30_000, 1)] {
        reached(&mut watched, position).await;
        let leader = cluster.leader_of("orders.events", partition).expect("somebody leads");
        cluster.nodes_mut()[leader].kill_hard().unwrap();
        reached(&mut watched, position + 10_000).await;
        cluster.start_again().unwrap();
    }
    relay.await.unwrap();
    assert_complete(&options, 60_000).await;
}

#[tokio::test]
async fn letting_go_of_a_server_that_says_nothing_takes_no_time() {
    let mut server = server();
    let options = options(&server.bootstrap(), "orders.events", "");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    server.freeze().unwrap();
    send(&mut opened, &events(1, 1_000)).await.unwrap();
    let start = Instant::now();
    drop(opened);
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

#[tokio::test]
async fn events_that_the_clients_queue_has_no_room_for_end_the_publication_at_once() {
    let mut server = server();
    let options = options(&server.bootstrap(), "orders.events", "");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 10)).await.unwrap();
    let kept = checkpoint(10, &first);
    server.freeze().unwrap();
    // More bytes than the queue takes, and far more than a relay has under way.
    let mut large = events(11, 100);
    large.iter_mut().for_each(|event| event.data = format!(r#"{{"long":"{}"}}"#, "x".repeat(900_000)).into());
    let start = Instant::now();
    send(&mut first, &large).await.unwrap();
    let (_, error) = until_it_fails(&mut first).await;
    assert!(matches!(&error, BrokerError::Unavailable(why) if why.contains("ueue full")), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    server.thaw().unwrap();
    let mut second = opened(&options, &kept).await;
    publish(&mut second, &events(11, 100)).await.unwrap();
    assert_complete(&options, 100).await;
}

/// See the checker go red.
#[cfg(feature = "planted-faults")]
#[tokio::test]
async fn a_producer_that_gives_messages_up_is_found_out() {
    let mut server = server();
    let at = server.bootstrap();
    let faulty = options(&at, "orders.events", "&planted-message-timeout-ms=200");
    let (progress, mut watched) = watch::channel(0);
    let relay = tokio::spawn(relay(faulty, 60_000, progress));
    reached(&mut watched, 5_000).await;
    server.kill_hard().unwrap();
    server.start_again().unwrap();
    relay.await.unwrap();
    let options = options(&at, "orders.events", "");
    let checked = tokio::spawn(async move { assert_complete(&options, 60_000).await });
    assert!(checked.await.is_err_and(|ended| ended.is_panic()));
}
