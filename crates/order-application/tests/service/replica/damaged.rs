//! Orders that are damaged in the primary's log: they are kept as they are, and all others are served.

use super::*;

/// The primary's events, some of them changed, as a relay publishes what is in its log.
async fn published(stage: &Stage, change: impl FnOnce(&mut [RecordedEvent])) -> Vec<RecordedEvent> {
    let mut events = stage.events().await;
    change(&mut events);
    stage.log.publish(0, &events);
    events
}

/// The replica has the same log, and refuses this order alone.
async fn assert_kept(stage: &Stage, events: &[RecordedEvent], damaged: &OrderId) {
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    replica.becomes(ReplicaState::Following).await;
    assert_eq!(stage.store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap(), events);
    let refused = stage.store.one(damaged).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let orders: std::collections::HashSet<_> = events.iter().map(|event| &event.order_id).collect();
    let page = stage.store.many(&ListQuery::placed_after(Position::START, 1_000)).await.unwrap();
    assert_eq!((page.orders.len(), page.left_out), (orders.len() - 1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_with_a_gap_is_kept_as_damaged() {
    let stage = Stage::new(20, 1).await;
    let events = published(&stage, |events| events[30].version = Version(7)).await;
    assert_kept(&stage, &events, &events[30].order_id).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_without_a_beginning_is_kept_as_damaged() {
    let stage = Stage::new(20, 1).await;
    let events = published(&stage, |events| events[0].version = Version(2)).await;
    assert_kept(&stage, &events, &events[0].order_id).await;
}

/// One order, placed once more in the place of another that has no more events.
fn place_again(events: &mut [RecordedEvent]) {
    events[16].order_id = events[3].order_id.clone();
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_placed_again_is_kept_as_damaged() {
    // In the same transaction, in another one, and when nothing of it is in memory any more.
    for (batch_events, order_cache_bytes) in [(100, 1 << 20), (5, 1 << 20), (5, 1)] {
        let mut stage = Stage::new(20, 1).await;
        stage.limits = ReplicaLimits { batch_events, order_cache_bytes, ..stage.limits };
        let events = published(&stage, place_again).await;
        assert_kept(&stage, &events, &events[3].order_id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_placed_again_is_looked_up_and_new_ones_are_not() {
    let mut stage = Stage::new(40, 1).await;
    stage.limits.batch_events = 5;
    let mut events = stage.events().await;
    stage.log.publish(0, &events[..15]);
    let mut replica = stage.start();
    replica.reaches(15).await;
    assert_eq!(*stage.store.look_ups.lock().unwrap(), 0);
    place_again(&mut events);
    stage.log.publish(0, &events[15..30]);
    replica.reaches(30).await;
    let looked_up = *stage.store.look_ups.lock().unwrap();
    assert!((1..=5).contains(&looked_up), "{looked_up} look-ups for the one transaction that needs them");
}

#[tokio::test(start_paused = true)]
async fn what_follows_on_a_damaged_order_is_kept_with_it() {
    let mut stage = Stage::new(20, 1).await;
    stage.limits.batch_events = 1;
    let events = published(&stage, |events| {
        let order_id = events[3].order_id.clone();
        for (event, version) in [(19, 1), (20, 2), (25, 1), (30, 9)] {
            (events[event].order_id, events[event].version) = (order_id.clone(), Version(version));
        }
    });
    let events = events.await;
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    let refused = stage.store.one(&events[3].order_id).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(stage.store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap(), events);
}
