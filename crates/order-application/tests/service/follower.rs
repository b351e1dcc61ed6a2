//! A timer on a follower: what a later one has to bring along itself, and that it gets all else.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::relay::fakes::FakeCheckpoints;

const NAME: &str = "timer";
/// How long after its placement an order is paid.
const DELAY: Duration = Duration::from_secs(60);

/// Pays each order some time after it was placed.
struct Timer {
    service: OrderService,
    due: DueList,
}

/// What is to be done when. It is kept, as a view would be, when the timer's process dies.
type DueList = Arc<Mutex<VecDeque<(Instant, RecordedEvent)>>>;

struct Timing {
    service: OrderService,
    due: DueList,
    /// Everything up to here is in the list.
    noted: Position,
    told: Position,
}

#[async_trait]
impl Consumer for Timer {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<(Box<dyn Consumption>, Position), FollowerError> {
        let (service, due, after) = (self.service.clone(), self.due.clone(), checkpoint.position);
        Ok((Box::new(Timing { service, due, noted: after, told: after }), after))
    }
}

#[async_trait]
impl Consumption for Timing {
    async fn take(&mut self, events: &[RecordedEvent]) -> Result<(), FollowerError> {
        let mut due = self.due.lock().unwrap();
        for event in events {
            if event.version == Version(1) && !due.iter().any(|(_, noted)| noted.id == event.id) {
                due.push_back((Instant::now() + DELAY, event.clone()));
            }
            self.noted = event.position;
        }
        Ok(())
    }

    async fn done(&mut self) -> Result<Position, FollowerError> {
        loop {
            if self.told < self.noted {
                self.told = self.noted;
                return Ok(self.told);
            }
            let next = self.due.lock().unwrap().front().cloned();
            let Some((due, placed)) = next else { return pending().await };
            sleep_until(due).await;
            let meta = CommandMeta::caused_by(&placed);
            let paid = self.service.execute(Some(placed.order_id), pay("timer", 3000), meta).await;
            paid.map_err(|error| FollowerError::Unavailable(error.to_string()))?;
            self.due.lock().unwrap().pop_front();
        }
    }
}

struct Stage {
    world: World,
    checkpoints: Arc<FakeCheckpoints>,
    due: DueList,
}

impl Stage {
    fn new() -> Self {
        Self { world: World::new(), checkpoints: Arc::default(), due: DueList::default() }
    }

    fn timer(&self, holder: &str) -> (Arc<Follower>, CancellationToken) {
        let ports = FollowerPorts {
            log: self.world.store.clone(),
            checkpoints: self.checkpoints.clone(),
            bus: self.world.bus.clone(),
        };
        let timer = Timer { service: self.world.instance(), due: self.due.clone() };
        let limits = FollowerLimits::default();
        let follower = Follower::new(NAME, holder, ports, Arc::new(timer), limits);
        (Arc::new(follower), CancellationToken::new())
    }

    async fn events(&self) -> Vec<RecordedEvent> {
        self.world.store.read_log(Position::START, PageLimit::events(100)).await.unwrap()
    }

    /// Waits until the log has so many events and all of them are noted.
    async fn comes_to(&self, events: usize) -> Vec<RecordedEvent> {
        let all = async {
            while self.events().await.len() < events || self.checkpoints.position(NAME) < events as u64 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(600), all).await.unwrap();
        self.events().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_follower_makes_happen_names_the_event_that_made_it_act_in_the_store_and_in_the_envelope() {
    let stage = Stage::new();
    let (follower, stop) = stage.timer("a");
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { follower.run(stop).await }
    });
    let meta = CommandMeta { correlation_id: Some("request-7".into()), ..CommandMeta::default() };
    stage.world.instance().execute(Some(id("o")), place(), meta).await.unwrap();
    let begun = Instant::now();
    let log = stage.comes_to(2).await;
    assert!(begun.elapsed() >= DELAY);
    let context = format!(r#"{{"correlationid":"request-7","causationid":"{}"}}"#, log[0].id);
    assert_eq!(log[1].context.as_json(), context);
    let mut envelope = String::new();
    cloud_event::write(&mut envelope, "\"/shop\"", &log[1]);
    let read = cloud_event::read_json(&envelope).unwrap().event;
    assert_eq!(read.context.get("causationid"), Some(log[0].id.to_string()));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_dies_at_any_moment_is_followed_by_another_and_what_it_does_is_done_once() {
    const ORDERS: usize = 5;
    for lives_for in [0, 1, 100, 59_999, 60_000, 60_001].map(Duration::from_millis) {
        let stage = Stage::new();
        for order in 0..ORDERS {
            execute(&stage.world.instance(), &format!("o{order}"), place()).await.unwrap();
        }
        let (first, stop) = stage.timer("a");
        let _ = timeout(lives_for, first.run(stop)).await;
        let (second, stop) = stage.timer("b");
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { second.run(stop).await }
        });
        let log = stage.comes_to(2 * ORDERS).await;
        assert_eq!(log.iter().filter(|event| event.version == Version(2)).count(), ORDERS);
        stop.cancel();
        running.await.unwrap();
    }
}
