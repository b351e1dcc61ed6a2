//! What goes wrong, and what is said about it.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_tried_again_and_read_on_when_it_is_back() {
    let stage = Stage::new(40, 2).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..20]);
    let mut replica = stage.start();
    replica.reaches(20).await;
    stage.log.state().away = Some(BrokerError::Unavailable("nobody answers".to_owned()));
    let status = replica.becomes(ReplicaState::Unavailable).await;
    assert_eq!(status.detail.as_deref(), Some("nobody answers"));
    assert!(status.has_caught_up, "what is here is worth reading still");
    tokio::time::sleep(Duration::from_secs(60)).await;
    stage.log.publish(1, &events[20..]);
    stage.log.state().away = None;
    let back = tokio::time::Instant::now();
    replica.reaches(events.len()).await;
    assert!(back.elapsed() <= Duration::from_secs(5), "{:?}", back.elapsed());
    let status = replica.becomes(ReplicaState::Following).await;
    assert_eq!(status.detail, None);
    stage.assert_equal().await;
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_has_to_be_changed_is_said() {
    let stage = Stage::new(4, 1).await;
    stage.log.publish(0, &stage.events().await);
    stage.log.state().away = Some(BrokerError::Misconfigured("there is no stream ORDERS".to_owned()));
    let mut replica = stage.start();
    let status = replica.becomes(ReplicaState::Misconfigured).await;
    assert_eq!((status.detail.as_deref(), status.has_caught_up), (Some("there is no stream ORDERS"), false));
    stage.log.state().away = None;
    replica.becomes(ReplicaState::Following).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_too_much_work_is_waited_for() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events);
    stage.store.faults.lock().unwrap().extend(vec![(StoreError::Overloaded, false); 10]);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    assert_eq!(stage.log.state().bookmarks.len(), 1, "the broker was opened once");
    stage.assert_equal().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_write_is_tried_again() {
    let unknown = || StoreError::OutcomeUnknown("the connection broke".to_owned());
    for fault in [(StoreError::StorageFull, false), (unknown(), false), (unknown(), true)] {
        let stage = Stage::new(40, 1).await;
        let events = stage.events().await;
        stage.log.publish(0, &events);
        stage.store.faults.lock().unwrap().push_back(fault.clone());
        let mut replica = stage.start();
        let status = replica.becomes(ReplicaState::Unavailable).await;
        assert_eq!(status.detail.unwrap(), format!("the replica's own store: {}", fault.0));
        replica.reaches(events.len()).await;
        stage.assert_equal().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_events_cannot_be_read_is_tried_again_with_growing_waits() {
    let stage = Stage::new(4, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    replica.stop().await;
    stage.store.is_damaged.store(true, Ordering::Relaxed);
    stage.log.state().bookmarks.clear();
    let mut replica = stage.start();
    replica.becomes(ReplicaState::Unavailable).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let opened = stage.log.state().bookmarks.len();
    assert!((12..=30).contains(&opened), "the broker was opened {opened} times");
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_no_events_are_counted_and_passed_over() {
    let stage = Stage::new(4, 1).await;
    let events = stage.events().await;
    for event in &events {
        stage.log.state().partitions[0].push(Err("the attribute id is missing".to_owned()));
        stage.log.publish(0, [event]);
    }
    let mut replica = stage.start();
    let status = replica.becomes(ReplicaState::Following).await;
    assert_eq!((status.position.0, status.skipped), (events.len() as u64, events.len() as u64));
    stage.assert_equal().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_a_later_release_wrote_is_kept_and_its_order_alone_is_refused() {
    let stage = Stage::new(20, 1).await;
    let mut events = stage.events().await;
    events[5].event_type = Cow::Borrowed("order.placed.v9");
    stage.log.publish(0, &events);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    replica.becomes(ReplicaState::Following).await;
    assert_eq!(stage.store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap(), events);
    let refused = stage.store.one(&events[5].order_id).await;
    assert!(matches!(refused, Err(StoreError::NewerRelease(_))), "{refused:?}");
    let page = stage.store.many(&ListQuery::placed_after(Position::START, 1_000)).await.unwrap();
    assert_eq!((page.orders.len(), page.left_out), (19, 1));
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_that_the_broker_does_not_know_means_to_read_all_that_it_has() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    replica.kill().await;
    stage.log.state().forgot_bookmarks = true;
    let mut replica = stage.start();
    replica.becomes(ReplicaState::Following).await;
    assert_eq!(stage.log.state().bookmarks.last(), Some(&None));
    stage.assert_equal().await;
}
