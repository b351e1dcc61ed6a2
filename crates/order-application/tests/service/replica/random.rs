//! Whatever order things come in, and whatever goes wrong.

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;

use super::*;

/// What the relay does, from a position of its log on.
#[derive(Debug, Clone)]
struct Publishing {
    /// How many events it goes back first, as a relay does after a failure.
    back: usize,
    events: usize,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
enum Fault {
    /// The replica's process dies and comes back.
    Kill,
    /// The reader breaks after so many more messages.
    Break(usize),
    /// The store has too much work; or cannot tell what it has done.
    Store(StoreError, bool),
    /// There is a message that is no event.
    Noise(usize),
}

fn publishing() -> impl Strategy<Value = Publishing> {
    (0..30_usize, 1..60_usize).prop_map(|(back, events)| Publishing { back, events })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Kill),
        (0..30_usize).prop_map(Fault::Break),
        Just(Fault::Store(StoreError::Overloaded, false)),
        Just(Fault::Store(StoreError::StorageFull, false)),
        Just(Fault::Store(StoreError::OutcomeUnknown("the connection broke".to_owned()), true)),
        (0..8_usize).prop_map(Fault::Noise),
    ]
}

/// A message's partition: the same for all of an order, as a broker's keys have it.
fn partition_of(event: &RecordedEvent, partitions: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    event.order_id.hash(&mut hasher);
    (hasher.finish() % partitions as u64) as usize
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_ends_in_the_primarys_log_and_views(
        partitions in 1..5_usize,
        limits in (1..20_usize, 1..20_usize, 0..20_000_u64, 1..10_usize),
        random in 1..u64::MAX,
        steps in prop::collection::vec((publishing(), prop::option::of(fault()), 0..20_u64), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut stage = Stage::new(100, partitions).await;
            let (batch_events, early_events, order_cache_bytes, at_once) = limits;
            stage.limits = ReplicaLimits { batch_events, early_events, order_cache_bytes, ..stage.limits };
            (stage.log.state().random, stage.log.state().at_once) = (random, at_once);
            let events = stage.events().await;
            let mut published = 0;
            let mut replica = stage.start();
            let rest = (Publishing { back: 0, events: events.len() }, None, 0);
            for (publishing, fault, pause) in steps.into_iter().chain([rest]) {
                match fault {
                    Some(Fault::Kill) => {
                        replica.kill().await;
                        replica = stage.start();
                    }
                    Some(Fault::Break(after)) => stage.log.state().breaks_after = Some(after),
                    Some(Fault::Store(error, done)) => stage.store.faults.lock().unwrap().push_back((error, done)),
                    Some(Fault::Noise(partition)) => {
                        stage.log.state().partitions[partition % partitions].push(Err("noise".to_owned()));
                    }
                    None => {}
                }
                let from = published - publishing.back.min(published);
                let to = (from + publishing.events).min(events.len());
                for event in &events[from..to] {
                    stage.log.publish(partition_of(event, partitions), [event]);
                }
                published = published.max(to);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            replica.reaches(events.len()).await;
            stage.assert_equal().await;
            replica.stop().await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_killed_after_any_message_reads_on_where_it_was() {
    let stage = Stage::new(12, 1).await;
    let events = stage.events().await;
    stage.log.state().at_once = 1;
    stage.log.publish(0, &events);
    for killed_after in 1..events.len() {
        // The last one that was applied comes again.
        stage.log.state().breaks_after = Some(if killed_after > 1 { 2 } else { 1 });
        let mut replica = stage.start();
        replica.reaches(killed_after).await;
        replica.becomes(ReplicaState::Unavailable).await;
        replica.kill().await;
        let bookmark = stage.log.state().bookmarks.last().cloned().flatten();
        let applied_before = (killed_after > 1).then(|| (killed_after - 2).to_string());
        assert_eq!(bookmark, applied_before, "no more than one that was applied is read again");
    }
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    stage.assert_equal().await;
}
