//! Positions that do not come, and those that come early.

use super::*;

/// Waits until a partition is paused.
async fn paused(stage: &Stage, partition: usize) {
    for _ in 0..1_000 {
        if stage.log.state().paused[partition] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it is not paused, and has delivered {}", stage.log.state().delivered[partition]);
}

#[tokio::test(start_paused = true)]
async fn early_arrivals_are_held_within_bounds_and_partitions_that_are_ahead_are_paused() {
    let mut stage = Stage::new(400, 3).await;
    stage.limits.early_events = 10;
    let events = stage.events().await;
    stage.log.publish(1, &events[1..]);
    let mut replica = stage.start();
    paused(&stage, 1).await;
    let delivered = stage.log.state().delivered[1];
    assert!((11..=10 + 5).contains(&delivered), "{delivered} are held");
    assert!(!stage.log.state().paused[0] && !stage.log.state().paused[2], "what is awaited may come");
    stage.log.publish(2, &events[..1]);
    replica.reaches(events.len()).await;
    stage.assert_equal().await;
    assert_eq!(stage.log.state().paused, [false; 3]);
}

#[tokio::test(start_paused = true)]
async fn early_arrivals_are_held_within_bounds_of_bytes() {
    let mut stage = Stage::new(400, 2).await;
    stage.limits.early_bytes = 10_000;
    let events = stage.events().await;
    stage.log.publish(0, &events[1..]);
    let _replica = stage.start();
    paused(&stage, 0).await;
    assert!(stage.log.state().delivered[0] < 40, "{} are held", stage.log.state().delivered[0]);
}

#[tokio::test(start_paused = true)]
async fn a_position_is_missing_once_every_partition_has_passed_it_and_not_before() {
    let stage = Stage::new(40, 3).await;
    let events = stage.events().await;
    let started = tokio::time::Instant::now();
    stage.log.publish(0, &events[..4]);
    stage.log.publish(0, &events[5..20]);
    stage.log.publish(1, &events[20..30]);
    let mut replica = stage.start();
    replica.reaches(4).await;
    // Whatever the third one delivers first decides.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(replica.status.borrow().state, ReplicaState::CatchingUp);
    }
    stage.log.publish(2, &events[30..31]);
    let status = replica.misses(5).await;
    assert!(started.elapsed() < Duration::from_secs(21), "at once: {:?}", started.elapsed());
    assert_eq!(
        status.detail.unwrap(),
        "position 5 is missing: every partition of the broker has passed it, and the next one that it has is 6. \
         Publish again from there, with `order-service republish --bus URL --from-position 5` on the primary; or start \
         this replica with `--from-file FILE`, where FILE is what `order-service export --from-position 4` writes there"
    );
    assert_eq!((status.position, status.has_caught_up), (Position(4), false));
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_found_when_it_is_published_again() {
    for early_events in [5, 1_000] {
        for partitions in 1..4 {
            let mut stage = Stage::new(100, partitions).await;
            stage.limits.early_events = early_events;
            let events = stage.events().await;
            let publish = |events: &[RecordedEvent]| {
                for event in events {
                    stage.log.publish(event.position.0 as usize % partitions, [event]);
                }
            };
            publish(&events[20..]);
            let mut replica = stage.start();
            replica.misses(1).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(stage.log.state().paused, vec![false; partitions], "nothing is held back any more");
            publish(&events);
            let status = replica.becomes(ReplicaState::Following).await;
            assert_eq!((status.position.0, status.detail), (events.len() as u64, None));
            stage.assert_equal().await;
            replica.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_position_that_was_found_is_not_called_missing_before_it_could_come() {
    for partitions in 1..4 {
        let stage = Stage::new(100, partitions).await;
        stage.log.state().at_once = 1;
        let events = stage.events().await;
        let publish = |events: &[RecordedEvent]| {
            for event in events {
                stage.log.publish(event.position.0 as usize % partitions, [event]);
            }
        };
        publish(&events[20..]);
        let mut replica = stage.start();
        replica.misses(1).await;
        // It has read all that there is.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut status = replica.status.clone();
        let lost = tokio::spawn(async move {
            let mut lost = Vec::new();
            while status.changed().await.is_ok() {
                let now = status.borrow_and_update();
                if now.state == ReplicaState::Missing {
                    lost.push(now.detail.clone().unwrap());
                }
            }
            lost
        });
        publish(&events);
        replica.becomes(ReplicaState::Following).await;
        replica.stop().await;
        assert!(lost.await.unwrap().iter().all(|why| why.starts_with("position 1 is missing")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_says_nothing_is_waited_for_and_what_it_brings_late_is_taken() {
    for early_events in [5, 1_000] {
        let mut stage = Stage::new(100, 2).await;
        stage.limits.early_events = early_events;
        let events = stage.events().await;
        stage.log.publish(0, &events[1..]);
        let started = tokio::time::Instant::now();
        let mut replica = stage.start();
        let status = replica.misses(1).await;
        assert_eq!(started.elapsed().as_secs(), 30);
        assert!(status.detail.unwrap().contains("for 30 s nothing came from where it could be"));
        tokio::time::sleep(Duration::from_secs(60)).await;
        stage.log.publish(1, &events[..1]);
        replica.reaches(events.len()).await;
        stage.assert_equal().await;
        replica.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_only_slow_is_waited_for_without_end() {
    let stage = Stage::new(100, 2).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[40..]);
    let mut replica = stage.start();
    for event in &events[..40] {
        tokio::time::sleep(Duration::from_secs(29)).await;
        let state = replica.status.borrow_and_update().state;
        assert_eq!(state, ReplicaState::CatchingUp);
        stage.log.publish(1, [event]);
    }
    replica.reaches(events.len()).await;
    stage.assert_equal().await;
}
