//! The replica against a broker in memory, by a clock that runs as fast as nothing else happens.

mod damaged;
mod fake_log;
mod fake_store;
mod faults;
mod import;
mod missing;
mod other_log;
mod random;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use fake_log::FakeLog;
use fake_store::FakeStore;

/// Nothing that a test waits for takes this long, by its clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// A primary's log, a broker that has it, and a replica of it.
struct Stage {
    primary: World,
    log: FakeLog,
    store: Arc<FakeStore>,
    limits: ReplicaLimits,
}

impl Stage {
    /// A primary with so many orders of one to four events each, and a broker that has nothing yet.
    async fn new(orders: usize, partitions: usize) -> Self {
        let primary = World::new();
        let service = primary.instance();
        for step in [place(), pay("p", 3000), reserve(), ship()].iter().enumerate() {
            for order in (0..orders).filter(|order| order % 4 >= step.0) {
                execute(&service, &format!("o{order}"), step.1.clone()).await.unwrap();
            }
        }
        let events = primary.store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap();
        Self {
            primary,
            log: FakeLog::new(partitions, &events),
            store: Arc::new(FakeStore::new()),
            limits: ReplicaLimits::default(),
        }
    }

    async fn events(&self) -> Vec<RecordedEvent> {
        self.primary.store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap()
    }

    fn start(&self) -> Running {
        let replica = Replica::new(Arc::new(self.log.clone()), self.store.clone(), self.limits);
        let (status, stop) = (replica.status(), CancellationToken::new());
        let token = stop.clone();
        Running { status, stop, task: tokio::spawn(async move { replica.run(token).await }) }
    }

    /// The replica answers every question as the primary does.
    async fn assert_equal(&self) {
        let copy = self.store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap();
        assert_eq!(copy, self.events().await, "the log");
        let orders = list(&*self.primary.store, Position::START, 10_000).await;
        assert_eq!(list(&*self.store, Position::START, 10_000).await, orders, "the list");
    }
}

struct Running {
    status: watch::Receiver<ReplicaStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn becomes(&mut self, state: ReplicaState) -> ReplicaStatus {
        self.wait_for(|status| status.state == state).await
    }

    async fn misses(&mut self, position: u64) -> ReplicaStatus {
        let status = self.becomes(ReplicaState::Missing).await;
        let why = status.detail.as_deref().unwrap();
        assert!(why.starts_with(&format!("position {position} is missing")), "{why}");
        status
    }

    async fn meets_another_log(&mut self, position: u64) -> ReplicaStatus {
        let status = self.becomes(ReplicaState::OtherLog).await;
        let why = status.detail.as_deref().unwrap();
        assert!(why.contains(&format!("at position {position}:")), "{why}");
        status
    }

    async fn says_where_the_two_part(&mut self, position: u64) -> ReplicaStatus {
        let says = format!("The two part at position {position}:");
        self.wait_for(|status| status.detail.as_ref().is_some_and(|detail| detail.contains(&says))).await
    }

    async fn reaches(&mut self, position: usize) {
        self.wait_for(|status| status.position.0 == position as u64).await;
    }

    async fn wait_for(&mut self, is_so: impl FnMut(&ReplicaStatus) -> bool) -> ReplicaStatus {
        let waited = tokio::time::timeout(PATIENCE, self.status.wait_for(is_so)).await;
        let status = waited.ok().map(|status| status.unwrap().clone());
        status.unwrap_or_else(|| panic!("it stays {:?}", self.status.borrow()))
    }

    /// As a process that dies.
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
async fn a_replica_ends_up_as_the_primary_and_goes_on_with_it() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    let (before, after) = events.split_at(60);
    stage.log.publish(0, before);
    let mut replica = stage.start();
    let status = replica.becomes(ReplicaState::Following).await;
    assert_eq!((status.position, status.has_caught_up), (Position(60), true));
    stage.log.publish(0, after);
    replica.reaches(events.len()).await;
    stage.assert_equal().await;
    let status = replica.wait_for(|status| status.behind == Some(0)).await;
    assert_eq!((status.state, status.detail), (ReplicaState::Following, None));
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_a_message_is_caught_up_with() {
    let stage = Stage::new(0, 3).await;
    let mut replica = stage.start();
    let status = replica.becomes(ReplicaState::Following).await;
    assert_eq!((status.position, status.behind, status.has_caught_up), (Position(0), Some(0), true));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_first_look_is_not_waited_for() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events);
    let mut replica = stage.start();
    replica.wait_for(|status| status.behind.is_some()).await;
    assert!(!replica.status.borrow().has_caught_up);
    stage.log.state().phantoms = 1_000;
    let status = replica.becomes(ReplicaState::Following).await;
    assert_eq!((status.position.0, status.has_caught_up), (events.len() as u64, true));
    replica.wait_for(|status| status.behind == Some(1_000)).await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_turn_out_not_to_be_there_are_not_waited_for() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    stage.log.state().phantoms = 10;
    stage.log.publish(0, &events);
    let mut replica = stage.start();
    replica.reaches(events.len()).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(replica.status.borrow().state, ReplicaState::CatchingUp);
    stage.log.state().phantoms = 0;
    replica.becomes(ReplicaState::Following).await;
}

#[tokio::test(start_paused = true)]
async fn it_has_caught_up_only_when_all_is_applied() {
    let stage = Stage::new(40, 2).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[1..]);
    let mut replica = stage.start();
    replica.wait_for(|status| status.behind == Some(events.len() as u64 - 1)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(replica.status.borrow().state, ReplicaState::CatchingUp, "all is here, and held");
    stage.log.publish(1, &events[..1]);
    replica.becomes(ReplicaState::Following).await;
}

#[tokio::test(start_paused = true)]
async fn events_are_applied_in_large_transactions_while_there_are_many_and_at_once_otherwise() {
    let mut stage = Stage::new(400, 1).await;
    stage.limits.batch_events = 50;
    stage.log.state().at_once = 1000;
    let events = stage.events().await;
    let (before, last) = events.split_at(events.len() - 1);
    stage.log.publish(0, before);
    let mut replica = stage.start();
    replica.reaches(before.len()).await;
    let transactions = stage.store.transactions.lock().unwrap().len();
    assert!(transactions < before.len() / 25, "{transactions} transactions of {} events", before.len());
    stage.log.publish(0, last);
    let published = tokio::time::Instant::now();
    replica.reaches(events.len()).await;
    assert!(published.elapsed() < Duration::from_millis(10), "{:?}", published.elapsed());
    let most = stage.store.transactions.lock().unwrap().iter().max().copied();
    assert_eq!(most, Some(50));
}

#[tokio::test(start_paused = true)]
async fn orders_that_are_not_in_the_cache_are_looked_up_and_placements_are_not() {
    let mut stage = Stage::new(40, 1).await;
    stage.limits.order_cache_bytes = 1;
    stage.limits.batch_events = 10;
    let events = stage.events().await;
    stage.log.publish(0, &events[..40]);
    let mut replica = stage.start();
    replica.reaches(40).await;
    assert_eq!(*stage.store.look_ups.lock().unwrap(), 0);
    stage.log.publish(0, &events[40..]);
    replica.reaches(events.len()).await;
    assert!(*stage.store.look_ups.lock().unwrap() > 0);
    stage.assert_equal().await;
}
