//! Publishing to Kafka, and reading it back.

use std::time::Duration;

use order_application::{Broker, BrokerError, Checkpoint, Position};
use test_servers::kafka::KafkaServer;

use crate::kafka_support::{
    broker, change_topic, checkpoint, event, events, everything, first_occurrences, fresh_topic, make_topic,
    opened, options, publish,
};

fn bootstrap() -> String {
    KafkaServer::shared().unwrap().bootstrap()
}

#[tokio::test]
async fn what_was_published_is_read_back_equal() {
    let options = options(&bootstrap(), &fresh_topic(), "");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    assert_eq!(opened.resume_after, Position::START);
    publish(&mut opened, &events(1, 300)).await.unwrap();
    opened.publication.check().await.unwrap();
    let read: Vec<_> =
        everything(&options).await.into_iter().map(|delivery| delivery.event.unwrap()).collect();
    assert_eq!(read, events(1, 300));
}

#[tokio::test]
async fn several_partitions_keep_each_orders_order_and_acknowledge_without_gaps() {
    let options = options(&bootstrap(), &fresh_topic(), "&partitions=5");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    opened.publication.publish(&events(1, 2000)).await.unwrap();
    let mut before = Position::START;
    while before < Position(2000) {
        let now = opened.publication.acknowledged().await.unwrap();
        assert!(now > before, "it answers when there is more");
        before = now;
    }
    let deliveries = everything(&options).await;
    let used: std::collections::BTreeSet<_> = deliveries.iter().map(|delivery| delivery.partition).collect();
    assert_eq!(used.len(), 5);
    assert_eq!(first_occurrences(&deliveries).unwrap(), (1..=2000).collect::<Vec<_>>());
    assert_eq!(deliveries.len(), 2000);
}

#[tokio::test]
async fn it_goes_on_after_the_checkpoint() {
    let options = options(&bootstrap(), &fresh_topic(), "&partitions=3");
    let mut first = opened(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 100)).await.unwrap();
    let kept = checkpoint(100, &first);
    drop(first);
    let mut second = opened(&options, &kept).await;
    assert_eq!(second.resume_after, Position(100));
    second.publication.check().await.unwrap();
    publish(&mut second, &events(101, 150)).await.unwrap();
    assert_eq!(everything(&options).await.len(), 150);
    // Nothing is known of the other side: it is as the checkpoint says, whatever is there.
    let unknown = Checkpoint { position: Position(7), evidence: None };
    assert_eq!(opened(&options, &unknown).await.resume_after, Position(7));
}

#[tokio::test]
async fn a_gap_is_not_published() {
    let options = options(&bootstrap(), &fresh_topic(), "");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    let refused = opened.publication.publish(&[event(2)]).await;
    assert!(matches!(refused, Err(BrokerError::OutOfStep(_))), "{refused:?}");
}

#[tokio::test]
async fn a_topic_that_is_there_is_taken_as_it_is() {
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    make_topic(&bootstrap, &topic, 4, &[("retention.ms", "123456789")]).await;
    let mut taken = opened(&options(&bootstrap, &topic, ""), &Checkpoint::default()).await;
    publish(&mut taken, &events(1, 10)).await.unwrap();
    let asked = broker(&options(&bootstrap, &topic, "&partitions=3")).open(&Checkpoint::default()).await;
    let Some(BrokerError::Misconfigured(why)) = asked.err() else { panic!("it is not what was asked for") };
    assert!(why.contains("has 4 partitions") && !why.contains('\n'), "{why}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_until_the_topic_takes_it() {
    let (bootstrap, topic) = (bootstrap(), fresh_topic());
    make_topic(&bootstrap, &topic, 1, &[("max.message.bytes", "20000")]).await;
    // Together they are far beyond the limit, one alone is not; but for one.
    let options = options(&bootstrap, &topic, "&compression=none");
    let mut all = events(1, 300);
    all[199].data = format!(r#"{{"long":"{}"}}"#, "x".repeat(30_000)).into();
    let mut opened = opened(&options, &Checkpoint::default()).await;
    opened.publication.publish(&all).await.unwrap();
    let mut reached = Position::START;
    let error = loop {
        match opened.publication.acknowledged().await {
            Ok(position) => reached = position,
            Err(error) => break error,
        }
    };
    assert_eq!(reached, Position(199), "all before it is acknowledged");
    let BrokerError::Refused { position, why } = error else { panic!("{error:?}") };
    assert_eq!(position, Position(200));
    assert!(why.contains("max.message.bytes"), "{why}");
    let kept = checkpoint(199, &opened);
    drop(opened);
    change_topic(&bootstrap, &topic, "max.message.bytes", "100000").await;
    let mut opened = crate::kafka_support::opened(&options, &kept).await;
    assert_eq!(opened.resume_after, Position(199));
    publish(&mut opened, &all[199..]).await.unwrap();
    let read: Vec<_> =
        everything(&options).await.into_iter().map(|delivery| delivery.event.unwrap()).collect();
    assert_eq!(read, all);
}

#[tokio::test]
async fn a_wait_that_is_cancelled_loses_nothing() {
    let options = options(&bootstrap(), &fresh_topic(), "");
    let mut opened = opened(&options, &Checkpoint::default()).await;
    let idle = tokio::time::timeout(Duration::from_millis(50), opened.publication.acknowledged()).await;
    assert!(idle.is_err(), "nothing is under way, so it waits");
    for position in 1..=20 {
        opened.publication.publish(&[event(position)]).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(1), opened.publication.acknowledged()).await;
    }
    // Whatever was told and to nobody: the next event's acknowledgement comes after all of them.
    publish(&mut opened, &[event(21)]).await.unwrap();
    assert_eq!(everything(&options).await.len(), 21);
}
