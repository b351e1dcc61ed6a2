//! A broker that has another log's events, and a log that has lost what was published.

use super::*;

/// An event that has another in its place in this log.
fn of_another_log(event: &RecordedEvent) -> RecordedEvent {
    RecordedEvent { id: Uuid::from_u128(event.id.as_u128() + (1 << 70)), ..event.clone() }
}

impl Stage {
    async fn log(&self) -> Vec<RecordedEvent> {
        self.world.store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap()
    }

    /// The relay says why, and nothing comes to the broker.
    async fn assert_not_published_to(&self) -> String {
        let there = self.broker.positions();
        let mut relay = self.start("a");
        let why = relay.becomes(FollowerState::Misconfigured).await.detail.unwrap();
        self.grow(100..110).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(self.broker.positions(), there);
        assert_eq!(relay.status.borrow().detail.as_ref(), Some(&why), "it is said once");
        relay.stop().await;
        why
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_with_another_event_in_the_place_of_one_of_the_log_is_not_published_to() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    let event = stage.log().await[1].clone();
    let other = of_another_log(&event);
    stage.broker.state().taken.push(other.clone());
    let expected = format!(
        "the stream has the event {} at position 2, where this log has the event {}: what was published there is another \
         store's, or is from before this one was restored from a backup. Nothing is published. The published events of \
         positions 1 to 2, up to 2, may be only there, and orders that were acknowledged with them: read them before you remove anything. Then either \
         publish to another stream or topic (stream=, topic=), which leaves that one as it is, or empty that one",
        other.id, event.id
    );
    assert_eq!(stage.assert_not_published_to().await, expected);
    stage.broker.state().taken.clear();
    stage.start("a");
    stage.drained().await;
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_with_events_beyond_the_logs_end_is_not_published_to() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    let beyond = Position(stage.head().await + 1_000);
    let event = RecordedEvent { position: beyond, ..stage.log().await[0].clone() };
    stage.broker.state().taken.push(event);
    let why = stage.assert_not_published_to().await;
    assert!(why.contains(&format!("at position {beyond}, where this log has no event")), "{why}");
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_event_after_the_checkpoint_is_noticed_though_own_ones_came_after_it() {
    let stage = Stage::new();
    stage.grow(0..10).await;
    let relay = stage.start("a");
    stage.drained().await;
    relay.stop().await;
    stage.grow(10..14).await;
    let log = stage.log().await;
    let later: Vec<_> = log[stage.checkpoints.position(NAME) as usize..].to_vec();
    stage.broker.state().taken.extend([of_another_log(&later[0]), later[0].clone(), later[1].clone()]);
    let last = later[1].position;
    stage
        .broker
        .state()
        .taken
        .push(of_another_log(&RecordedEvent { position: last.plus(1), ..later[1].clone() }));
    let why = stage.assert_not_published_to().await;
    assert!(why.contains(&format!("at position {}", later[0].position)), "{why}");
    let from = later[0].position;
    let only_there = format!("of positions {from} to {}, up to 3, may be only there", last.plus(1));
    assert!(why.contains(&only_there), "those that both have are not among them: {why}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_has_lost_what_was_published_is_not_published() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    let Ok(Claim::Granted(epoch)) = stage.checkpoints.claim(NAME, "a", None).await else {
        panic!("it is free")
    };
    let beyond = Checkpoint { position: Position(8), evidence: None };
    stage.checkpoints.save(NAME, epoch, &beyond).await.unwrap();
    let mut relay = stage.start("a");
    let why = relay.becomes(FollowerState::Misconfigured).await.detail.unwrap();
    assert!(why.contains("events up to position 8 were published, where this log has none"), "{why}");
    assert!(why.contains("of positions 8 to 8, up to 1, may be only there"), "{why}");
    stage.grow(5..9).await;
    assert!(stage.broker.positions().is_empty());
}
