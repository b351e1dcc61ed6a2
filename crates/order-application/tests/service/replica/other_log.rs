//! A broker that has another shop's log, or that of a primary whose past was changed.

use uuid::Uuid;

use super::*;

/// What may be lost comes before what to do.
pub(super) const WAYS_OUT: &str = "This replica may have the only copy of events that the other log lacks: export them \
    (`order-service export`) before its store is removed. Then name the broker of the primary whose copy this is, or start with \
    an empty store";

fn other(event: &RecordedEvent) -> RecordedEvent {
    RecordedEvent { id: Uuid::from_u128(event.id.as_u128() + (1 << 70)), ..event.clone() }
}

#[tokio::test(start_paused = true)]
async fn another_event_in_the_place_of_one_that_was_applied_stops_the_replica() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..10]);
    stage.log.publish(0, [&other(&events[6])]);
    stage.log.publish(0, &events[10..]);
    let mut replica = stage.start();
    let status = replica.meets_another_log(7).await;
    assert_eq!(
        status.detail.unwrap(),
        format!("another log than this replica's, at position 7: the event there has another id. {WAYS_OUT}")
    );
    assert_eq!(replica.status.borrow().behind, None, "nobody asks the broker any more");
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
    stage.log.publish_unnamed(0, &events.iter().map(other).collect::<Vec<_>>());
    stage.store.without_checkpoint.store(true, Ordering::Relaxed);
    stage.start().meets_another_log(1).await;
}

#[tokio::test(start_paused = true)]
async fn two_events_that_come_early_for_one_position_are_of_two_logs() {
    let stage = Stage::new(20, 2).await;
    let events = stage.events().await;
    stage.log.publish(0, [&events[5]]);
    stage.log.publish(1, [&other(&events[5])]);
    stage.start().meets_another_log(6).await;
}

/// As from an early build's relay.
#[tokio::test(start_paused = true)]
async fn an_event_that_does_not_continue_its_order_is_of_another_log_if_its_message_names_none_before() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..2]);
    stage.log.publish_unnamed(0, [&RecordedEvent { version: Version(7), ..events[2].clone() }]);
    let mut replica = stage.start();
    let status = replica.meets_another_log(3).await;
    let why = "its event there is version 7 of an order that is at version 0 here";
    assert!(status.detail.as_deref().unwrap().contains(why), "{status:?}");
    assert_eq!(stage.store.end().await.unwrap(), Position(2), "what came before is applied");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_placed_again_is_of_another_log_if_its_message_names_none_before() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish_unnamed(0, &events[..2]);
    let mut replica = stage.start();
    replica.reaches(2).await;
    let again = RecordedEvent { order_id: events[0].order_id.clone(), ..events[2].clone() };
    stage.log.publish_unnamed(0, [&again]);
    replica.meets_another_log(3).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_is_applied_only_after_the_one_that_its_message_names() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..4]);
    let named = other(&events[3]).id;
    stage.log.publish_after(Some(named), 0, &events[4..]);
    let mut replica = stage.start();
    let status = replica.meets_another_log(5).await;
    let found = events[3].id;
    assert_eq!(
        status.detail.unwrap(),
        format!(
            "another log than this replica's, at position 5: the event before the one there is {named}, and here it is \
             {found}. {WAYS_OUT}"
        )
    );
    assert_eq!(stage.store.end().await.unwrap(), Position(4), "what came before is applied");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_has_is_what_the_next_message_must_name() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..4]);
    let mut replica = stage.start();
    replica.reaches(4).await;
    replica.kill().await;
    stage.log.publish_after(Some(other(&events[3]).id), 0, &events[4..5]);
    stage.start().meets_another_log(5).await;
    assert_eq!(stage.store.end().await.unwrap(), Position(4));
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_before_the_first_event() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish_after(Some(events[9].id), 0, &events);
    stage.start().meets_another_log(1).await;
    assert_eq!(stage.store.end().await.unwrap(), Position::START);
}

#[tokio::test(start_paused = true)]
async fn messages_that_name_no_event_before_theirs_are_applied() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish_unnamed(0, &events[..10]);
    stage.log.publish(0, &events[10..]);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    stage.assert_equal().await;
}

/// The topic was made anew from a restored log while the replica was stopped, and has as many messages as it had.
#[tokio::test(start_paused = true)]
async fn a_topic_that_was_made_anew_is_told_by_the_last_message_that_was_read() {
    let stage = Stage::new(20, 3).await;
    let events = stage.events().await;
    let partition = |event: &RecordedEvent| event.position.0 as usize % 3;
    events.iter().for_each(|event| stage.log.publish(partition(event), [event]));
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    replica.kill().await;

    stage.log.state().partitions = vec![Vec::new(); 3];
    // The broker counts some that are not there, as where somebody has deleted them.
    stage.log.state().phantoms = 3;
    let diverges_at = events.len() - 17;
    let restored =
        |event: usize| if event < diverges_at { events[event].clone() } else { other(&events[event]) };
    let mut previous_id = None;
    for event in (0..events.len()).map(restored) {
        stage.log.publish_after(previous_id.replace(event.id), partition(&event), [&event]);
    }
    let mut replica = stage.start();
    let told = replica.wait_for(|status| status.state == ReplicaState::OtherLog).await;
    assert!(!told.has_caught_up, "before it says that it has caught up");
    let status = replica.says_where_the_two_part(diverges_at as u64 + 1).await;
    let only_here = status.position.0 - diverges_at as u64;
    let says = format!("and this replica has {only_here} of its own");
    assert!(status.detail.as_ref().unwrap().ends_with(&says), "{status:?}");
    assert_eq!(stage.store.end().await.unwrap().0, events.len() as u64);
}
