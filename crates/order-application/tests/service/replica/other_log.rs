//! A broker that has another shop's log, or that of a primary whose past was changed.

use uuid::Uuid;

use super::*;

fn other(event: &RecordedEvent) -> RecordedEvent {
    RecordedEvent { id: Uuid::from_u128(event.id.as_u128() + (1 << 70)), ..event.clone() }
}

fn other_log(position: u64) -> ReplicaState {
    ReplicaState::OtherLog { position: Position(position) }
}

#[tokio::test(start_paused = true)]
async fn another_event_in_the_place_of_one_that_was_applied_stops_the_replica() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..10]);
    stage.log.publish(0, [&other(&events[6])]);
    stage.log.publish(0, &events[10..]);
    let mut replica = stage.start();
    let status = replica.becomes(other_log(7)).await;
    assert_eq!(
        status.detail.unwrap(),
        "another log than this replica's, at position 7: the event there has another id. Name the broker of the \
         primary whose copy this is, or start with an empty store"
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(stage.store.end().await.unwrap().0 <= 10, "nothing is applied any more");
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_log_is_told_by_what_the_store_has() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    replica.kill().await;
    // Another broker, whose messages are read from the beginning.
    stage.log.state().partitions[0] = Vec::new();
    stage.log.publish(0, &events.iter().map(other).collect::<Vec<_>>());
    stage.store.without_checkpoint.store(true, Ordering::Relaxed);
    stage.start().becomes(other_log(1)).await;
}

#[tokio::test(start_paused = true)]
async fn two_events_that_come_early_for_one_position_are_of_two_logs() {
    let stage = Stage::new(20, 2).await;
    let events = stage.events().await;
    stage.log.publish(0, [&events[5]]);
    stage.log.publish(1, [&other(&events[5])]);
    stage.start().becomes(other_log(6)).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_does_not_continue_its_order_is_of_another_log() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..2]);
    stage.log.publish(0, [&RecordedEvent { version: Version(7), ..events[2].clone() }]);
    let mut replica = stage.start();
    let status = replica.becomes(other_log(3)).await;
    let why = "its event there is version 7 of an order that is at version 0 here";
    assert!(status.detail.as_deref().unwrap().contains(why), "{status:?}");
    assert_eq!(stage.store.end().await.unwrap(), Position(2), "what came before is applied");
}
