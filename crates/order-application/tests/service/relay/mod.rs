//! The relay against a broker in memory, by a clock that runs as fast as nothing else happens.

mod another_log;
pub(crate) mod fakes;

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use fakes::{FakeBroker, FakeCheckpoints};

const NAME: &str = "fake/orders";
/// Nothing that a test waits for takes this long, by its clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// A log with orders in it, a broker, and relays between the two.
struct Stage {
    world: World,
    checkpoints: Arc<FakeCheckpoints>,
    broker: FakeBroker,
    limits: FollowerLimits,
}

impl Stage {
    fn new() -> Self {
        let limits = FollowerLimits { window_events: 10, ..FollowerLimits::default() };
        Self { world: World::new(), checkpoints: Arc::default(), broker: FakeBroker::default(), limits }
    }

    /// Events of orders `o0`, `o1`, …, one or two each.
    async fn grow(&self, orders: std::ops::Range<usize>) {
        let service = self.world.instance();
        for order in orders {
            let order_id = format!("o{order}");
            execute(&service, &order_id, place()).await.unwrap();
            if order % 2 == 1 {
                execute(&service, &order_id, pay("p", 3000)).await.unwrap();
            }
        }
    }

    async fn head(&self) -> u64 {
        self.world.store.end().await.unwrap().0
    }

    fn relay(&self, holder: &str) -> Follower {
        let ports = FollowerPorts {
            log: self.world.store.clone(),
            checkpoints: self.checkpoints.clone(),
            bus: self.world.bus.clone(),
        };
        let relay = Relay::new(ports.log.clone(), Arc::new(self.broker.clone()));
        Follower::new(NAME, holder, ports, relay, self.limits)
    }

    fn start(&self, holder: &str) -> Running {
        let relay = self.relay(holder);
        let (status, figures, stop) = (relay.status(), relay.figures(), CancellationToken::new());
        let token = stop.clone();
        Running { status, figures, stop, task: tokio::spawn(async move { relay.run(token).await }) }
    }

    /// Waits until the broker has the whole log and the checkpoint says so.
    async fn drained(&self) {
        let head = self.head().await;
        let drained = async {
            while self.checkpoints.position(NAME) < head || self.broker.positions().last() != Some(&head) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let drained = tokio::time::timeout(PATIENCE, drained).await;
        assert!(drained.is_ok(), "the broker does not get the whole log");
    }

    /// What every consumer may rely on.
    async fn assert_promises_kept(&self) {
        let log = self.world.store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap();
        let mut first = HashMap::<OrderId, Vec<RecordedEvent>>::new();
        for event in &self.broker.state().taken {
            let seen = first.entry(event.order_id.clone()).or_default();
            match seen.iter().find(|earlier| earlier.id == event.id) {
                Some(earlier) => assert_eq!(earlier, event, "a repetition is identical"),
                None => {
                    assert_eq!(event.version.0 as usize, seen.len() + 1, "first occurrences come in order");
                    seen.push(event.clone());
                }
            }
        }
        let seen: usize = first.values().map(Vec::len).sum();
        assert_eq!(seen, log.len(), "nothing is missing");
        let before = std::iter::once(None).chain(log.iter().map(|event| Some(event.id)));
        for (event, previous_id) in log.iter().zip(before) {
            let named = self.broker.state().previous_ids[&event.id];
            assert_eq!(named, previous_id, "what comes before the event {}", event.position);
        }
    }
}

struct Running {
    status: watch::Receiver<FollowerStatus>,
    figures: Arc<FollowerFigures>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn becomes(&mut self, state: FollowerState) -> FollowerStatus {
        let waited = tokio::time::timeout(PATIENCE, self.status.wait_for(|status| status.state == state));
        let status = waited.await.ok().map(|status| status.unwrap().clone());
        status.unwrap_or_else(|| panic!("it stays {:?}", self.status.borrow()))
    }

    /// As a process that dies: nothing is saved any more.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_tells_since_when_its_oldest_event_waits_and_what_it_has_published() {
    let stage = Stage::new();
    stage.grow(0..2).await;
    stage.broker.state().away = Some(BrokerError::Unavailable("gone".to_owned()));
    let mut relay = stage.start("a");
    stage.world.clock.set(NEW_YEAR + 1);
    stage.grow(2..4).await;
    relay.becomes(FollowerState::Unavailable).await;
    assert_eq!(relay.figures.waiting_since(), Some(Timestamp::from_micros(NEW_YEAR)));
    assert_eq!(relay.figures.done.now(), 0);
    assert!(relay.figures.failures.now() > 0);
    stage.broker.state().away = None;
    stage.drained().await;
    relay.becomes(FollowerState::Following).await;
    assert_eq!(relay.figures.waiting_since(), None);
    assert_eq!(relay.figures.done.now(), stage.head().await);
    relay.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_and_what_comes_is_published_in_log_order() {
    let stage = Stage::new();
    stage.grow(0..20).await;
    let relay = stage.start("a");
    stage.drained().await;
    stage.grow(20..30).await;
    stage.drained().await;
    assert_eq!(stage.broker.positions(), (1..=stage.head().await).collect::<Vec<_>>());
    relay.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_told_to_stop_repeats_nothing_later() {
    let stage = Stage::new();
    stage.grow(0..20).await;
    let relay = stage.start("a");
    while stage.broker.positions().is_empty() {
        tokio::task::yield_now().await;
    }
    relay.stop().await;
    stage.start("a");
    stage.drained().await;
    assert_eq!(stage.broker.positions(), (1..=stage.head().await).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_stays_behind_the_acknowledgements_and_the_window_bounded() {
    let stage = Stage::new();
    stage.grow(0..20).await;
    stage.broker.state().silent = true;
    let mut relay = stage.start("a");
    relay.becomes(FollowerState::Following).await;
    stage.grow(20..400).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let published = stage.broker.positions().len();
    assert!((10..=10 + 500).contains(&published), "{published} events are under way");
    assert_eq!(stage.checkpoints.position(NAME), 0);
    relay.kill().await;
    stage.broker.state().silent = false;
    stage.start("a");
    stage.drained().await;
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_says_nothing_for_too_long_is_opened_again() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    stage.broker.state().silent = true;
    let mut relay = stage.start("a");
    let status = relay.becomes(FollowerState::Unavailable).await;
    assert_eq!(status.detail.unwrap(), "nothing was done for 20 s");
    stage.broker.state().silent = false;
    stage.drained().await;
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_waits_in_the_log_while_the_broker_is_away() {
    let stage = Stage::new();
    stage.broker.state().away = Some(BrokerError::Unavailable("nobody answers".to_owned()));
    let mut relay = stage.start("a");
    assert_eq!(relay.becomes(FollowerState::Unavailable).await.detail.unwrap(), "nobody answers");
    stage.grow(0..50).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let attempts = stage.broker.state().opened;
    assert!((10..30).contains(&attempts), "{attempts} attempts in a minute");
    stage.broker.state().away = None;
    stage.drained().await;
    let head = stage.head().await;
    let all = |status: &FollowerStatus| status.state == FollowerState::Following && status.position.0 == head;
    assert_eq!(relay.status.wait_for(all).await.unwrap().lag, 0);
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgot_is_published_to_again_from_what_it_still_has() {
    let stage = Stage::new();
    stage.grow(0..20).await;
    let _relay = stage.start("a");
    stage.drained().await;
    // While idle: no event comes that would fail.
    stage.broker.state().taken.truncate(7);
    stage.drained().await;
    assert_eq!(stage.broker.positions(), (1..=stage.head().await).collect::<Vec<_>>());
    stage.broker.state().taken.clear();
    stage.drained().await;
    assert_eq!(stage.broker.positions(), (1..=stage.head().await).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_stops_the_relay_until_somebody_helps() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    stage.broker.state().refuses = Some(Position(4));
    let mut relay = stage.start("a");
    let status = relay.becomes(FollowerState::Refused).await;
    assert_eq!(status.detail.unwrap(), "the event at position 4 is refused: too large");
    let at_work = relay.status.wait_for(|status| status.state == FollowerState::Following);
    let in_a_minute = tokio::time::timeout(Duration::from_secs(60), at_work).await.is_ok();
    assert!(!in_a_minute, "it says that it is at work again: {:?}", relay.status.borrow());
    assert!(stage.broker.positions().iter().all(|position| *position < 4), "nothing passes it");
    stage.broker.state().refuses = None;
    stage.drained().await;
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn the_backlog_of_a_relay_that_cannot_work_is_shown_as_it_grows() {
    let stage = Stage::new();
    stage.broker.state().away = Some(BrokerError::Misconfigured("no such user".to_owned()));
    let mut relay = stage.start("a");
    relay.becomes(FollowerState::Misconfigured).await;
    for orders in [0..20, 20..40] {
        stage.grow(orders).await;
        let (head, grown) = (stage.head().await, tokio::time::Instant::now());
        relay.status.wait_for(|status| status.lag == head).await.unwrap();
        assert!(grown.elapsed() <= Duration::from_secs(1), "{:?}", grown.elapsed());
        assert_eq!(relay.status.borrow().state, FollowerState::Misconfigured);
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_goes_on_names_the_event_before() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    let relay = stage.start("a");
    stage.drained().await;
    relay.stop().await;
    stage.grow(5..9).await;
    stage.start("a");
    stage.drained().await;
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn one_of_two_relays_publishes_and_the_other_takes_over_within_five_seconds() {
    let stage = Stage::new();
    let mut first = stage.start("a");
    first.becomes(FollowerState::Following).await;
    let mut second = stage.start("b");
    second.becomes(FollowerState::Standby).await;
    stage.grow(0..10).await;
    stage.drained().await;
    assert_eq!(stage.broker.state().opened, 1);
    let died = tokio::time::Instant::now();
    first.kill().await;
    second.becomes(FollowerState::Following).await;
    assert!(died.elapsed() < Duration::from_secs(5), "{:?}", died.elapsed());
    stage.grow(10..20).await;
    stage.drained().await;
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_lets_another_take_over_at_once() {
    let stage = Stage::new();
    let mut first = stage.start("a");
    first.becomes(FollowerState::Following).await;
    let mut second = stage.start("b");
    second.becomes(FollowerState::Standby).await;
    first.stop().await;
    let stopped = tokio::time::Instant::now();
    second.becomes(FollowerState::Following).await;
    assert!(stopped.elapsed() <= Duration::from_secs(1), "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_lag_grows_while_the_broker_is_away() {
    let stage = Stage::new();
    stage.grow(0..4).await;
    let relay = stage.start("a");
    stage.drained().await;
    relay.stop().await;
    let before = stage.head().await;
    stage.broker.state().away = Some(BrokerError::Unavailable("gone".to_owned()));
    let mut relay = stage.start("b");
    assert_eq!(relay.becomes(FollowerState::Unavailable).await.position, Position(before));
    stage.grow(4..8).await;
    let behind = stage.head().await - before;
    let status = relay.status.wait_for(|status| status.lag == behind).await.unwrap().clone();
    assert_eq!((status.state, status.position), (FollowerState::Unavailable, Position(before)));
}

#[tokio::test(start_paused = true)]
async fn events_are_published_again_on_request_and_the_usual_relay_goes_on() {
    let stage = Stage::new();
    stage.grow(0..10).await;
    let mut usual = stage.start("a");
    stage.drained().await;
    let head = stage.head().await;
    stage.relay("command").run_again(Position(5), CancellationToken::new()).await.unwrap();
    assert_eq!(stage.broker.positions(), (1..=head).chain(5..=head).collect::<Vec<_>>());
    usual.becomes(FollowerState::Following).await;
    stage.grow(10..20).await;
    stage.drained().await;
    assert_eq!(stage.broker.positions(), (1..=head).chain(5..=stage.head().await).collect::<Vec<_>>());
    stage.assert_promises_kept().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_the_log_cannot_be_published_again() {
    let stage = Stage::new();
    stage.grow(0..5).await;
    let end = Position(stage.head().await);
    let from = end.plus(2);
    let asked = stage.relay("command").run_again(from, CancellationToken::new()).await;
    assert_eq!(asked, Err(FollowerError::BeyondEnd { from, end }));
    assert_eq!(stage.checkpoints.position(NAME), 0, "the usual relay leaves nothing out");
}

#[tokio::test(start_paused = true)]
async fn publishing_again_that_cannot_begin_leaves_the_usual_relay_where_it_is() {
    let stage = Stage::new();
    stage.grow(0..10).await;
    let usual = stage.start("a");
    stage.drained().await;
    let refusal = BrokerError::Misconfigured("another number of partitions".to_owned());
    stage.broker.state().away = Some(refusal);
    let asked = stage.relay("command").run_again(Position(5), CancellationToken::new()).await;
    assert!(matches!(asked, Err(FollowerError::Misconfigured(_))), "{asked:?}");
    assert_eq!(stage.checkpoints.position(NAME), stage.head().await);
    usual.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_loses_when_publishing_again_is_interrupted_is_published_again_too() {
    let stage = Stage::new();
    stage.grow(0..10).await;
    let usual = stage.start("a");
    stage.drained().await;
    usual.stop().await;
    stage.broker.state().breaks_after = Some(0);
    let asked = stage.relay("command").run_again(Position(5), CancellationToken::new()).await;
    assert!(matches!(asked, Err(FollowerError::Unavailable(_))), "{asked:?}");
    stage.broker.state().taken.clear();
    let usual = stage.start("a");
    stage.drained().await;
    assert_eq!(stage.broker.positions(), (1..=stage.head().await).collect::<Vec<_>>());
    usual.stop().await;
}

/// The holder of the lease notices only after a while that it was taken away.
#[tokio::test(start_paused = true)]
async fn publishing_again_begins_anew_when_somebody_else_still_publishes() {
    let stage = Stage::new();
    stage.grow(0..10).await;
    stage.broker.state().disturbed_after = Some(3);
    stage.relay("command").run_again(Position(2), CancellationToken::new()).await.unwrap();
    let head = stage.head().await;
    assert_eq!(stage.broker.positions(), (2..=4).chain(2..=head).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn whoever_learns_that_the_lease_was_taken_away_stands_by_and_goes_on_when_it_is_free() {
    let stage = Stage::new();
    let mut relay = stage.start("a");
    relay.becomes(FollowerState::Following).await;
    // Its last renewal is 100 ms ago, and the next one 900 ms away.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let Ok(Claim::Held(beat)) = stage.checkpoints.claim(NAME, "other", None).await else {
        panic!("nobody holds it")
    };
    let Ok(Claim::Granted(epoch)) = stage.checkpoints.claim(NAME, "other", Some(beat)).await else {
        panic!("it is not taken")
    };
    let taken = tokio::time::Instant::now();
    stage.grow(0..5).await;
    relay.becomes(FollowerState::Standby).await;
    assert!(taken.elapsed() < Duration::from_millis(600), "the refused save tells: {:?}", taken.elapsed());
    assert_eq!(stage.checkpoints.position(NAME), 0, "what it has done is the next holder's to save");
    stage.checkpoints.release(NAME, "other", epoch).await.unwrap();
    stage.drained().await;
    relay.becomes(FollowerState::Following).await;
    stage.assert_promises_kept().await;
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
enum Fault {
    /// The relay's process dies and comes back.
    Kill,
    /// The connection breaks after so many more events.
    Break(usize),
    /// The broker loses all but so many events.
    Forget(usize),
    /// Another instance comes along and the first dies.
    TakeOver,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Kill),
        (0..30_usize).prop_map(Fault::Break),
        (0..60_usize).prop_map(Fault::Forget),
        Just(Fault::TakeOver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_goes_wrong_consumers_get_what_they_were_promised(
        faults in prop::collection::vec((fault(), 0..400_u64), 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let stage = Stage::new();
            let mut running = stage.start("r0");
            for (n, (fault, pause)) in faults.into_iter().enumerate() {
                stage.grow(n * 10..(n + 1) * 10).await;
                tokio::time::sleep(Duration::from_millis(pause)).await;
                match fault {
                    Fault::Kill => {
                        running.kill().await;
                        running = stage.start("r0");
                    }
                    Fault::Break(after) => stage.broker.state().breaks_after = Some(after),
                    Fault::Forget(kept) => stage.broker.state().taken.truncate(kept),
                    Fault::TakeOver => {
                        let next = stage.start(&format!("r{}", n + 1));
                        running.kill().await;
                        running = next;
                    }
                }
            }
            stage.drained().await;
            stage.assert_promises_kept().await;
            running.stop().await;
        });
    }
}
