//! What orders do by themselves, in virtual time. The clock of the service goes with it, unless a test sets it elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::relay::fakes::FakeCheckpoints;

const CLOCK_PAUSE: Duration = Duration::from_secs(15 * 60);

struct Stage {
    world: World,
    service: OrderService,
    checkpoints: Arc<FakeCheckpoints>,
    began: Instant,
}

impl Stage {
    fn new() -> Self {
        Self::with_limits(ServiceLimits::default())
    }

    fn with_limits(limits: ServiceLimits) -> Self {
        let mut world = World::new();
        world.limits = limits;
        let service = world.instance();
        Self { world, service, checkpoints: Arc::default(), began: Instant::now() }
    }

    /// Starts the timers of one instance.
    fn start(&self, holder: &str) -> Running {
        self.start_with(holder, self.world.instance())
    }

    fn start_with(&self, holder: &str, service: OrderService) -> Running {
        let ports = TimerPorts {
            service,
            views: self.world.store.clone(),
            checkpoints: self.checkpoints.clone(),
            clock: Arc::new(self.world.clock.clone()),
            tracer: None,
        };
        let timers = Timers::new(holder, ports, CLOCK_PAUSE);
        let (status, stop) = (timers.status(), CancellationToken::new());
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { timers.run(stop).await }
        });
        Running { status, stop, task: AbortOnDropHandle::new(task) }
    }

    /// Lets time pass, second by second, in which the clock goes on.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            sleep(Duration::from_secs(1)).await;
            self.world.clock.set(self.world.clock.now().as_micros() + 1_000_000);
        }
    }

    async fn execute(&self, order_id: &str, command: impl Into<OrderCommand>) {
        execute(&self.service, order_id, command.into()).await.unwrap();
    }

    /// An order that is paid, whose units are reserved for so long.
    async fn reserved_for(&self, order_id: &str, seconds: u32) {
        self.execute(order_id, place()).await;
        self.execute(order_id, pay("p", 3000)).await;
        let reservation_id = ReservationId::new("r").unwrap();
        self.execute(order_id, ReserveInventory { reservation_id, expires_in_seconds: Some(seconds) }).await;
    }

    async fn to_be_paid_within(&self, order_id: &str, seconds: u32) {
        let OrderCommand::Place(place) = place() else { unreachable!() };
        self.execute(order_id, PlaceOrder { pay_within_seconds: Some(seconds), ..place }).await;
    }

    async fn status(&self, order_id: &str) -> Status {
        self.service.summary(&id(order_id)).await.unwrap().status
    }

    async fn types(&self, order_id: &str) -> Vec<String> {
        let events = self.world.store.read_stream(&id(order_id), Version::NONE, PageLimit::events(100)).await;
        events.unwrap().iter().map(|event| event.event_type.to_string()).collect()
    }
}

struct Running {
    status: watch::Receiver<TimersStatus>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Running {
    fn state(&self) -> TimersState {
        self.status.borrow().state
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_runs_out_is_released_once() {
    let stage = Stage::new();
    stage.reserved_for("a", 60).await;
    let timers = stage.start("one");
    stage.pass(59).await;
    assert_eq!(stage.status("a").await, Status::InventoryReserved);
    stage.pass(3).await;
    assert_eq!(stage.status("a").await, Status::PaymentAuthorized);
    stage.pass(600).await;
    assert_eq!(stage.types("a").await.iter().filter(|t| *t == "order.reservation_released.v1").count(), 1);
    assert_eq!(timers.status.borrow().fired, 1);
    timers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn timers_tell_how_many_were_due_at_their_last_look_and_how_late_they_were() {
    let stage = Stage::new();
    stage.reserved_for("a", 60).await;
    stage.reserved_for("b", 50).await;
    stage.pass(75).await;
    let mut timers = stage.start("one");
    let late = timers.status.wait_for(|status| status.fired == 2).await.unwrap().clone();
    assert_eq!((late.due, late.late), (2, Duration::from_secs(25)));
    let over = timers.status.wait_for(|status| status.due == 0).await.unwrap().clone();
    assert_eq!(over.late, Duration::ZERO);
    timers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_that_runs_out_is_voided() {
    let stage = Stage::new();
    stage.execute("a", place()).await;
    let OrderCommand::AuthorizePayment(pay) = pay("p", 3000) else { unreachable!() };
    stage.execute("a", AuthorizePayment { expires_in_seconds: Some(10), ..pay }).await;
    let timers = stage.start("one");
    stage.pass(13).await;
    assert_eq!(stage.status("a").await, Status::Placed);
    assert_eq!(stage.types("a").await.last().unwrap(), "order.payment_voided.v1");
    timers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_paid_in_time_is_cancelled_and_one_that_was_paid_is_not() {
    let stage = Stage::new();
    stage.to_be_paid_within("late", 30).await;
    stage.to_be_paid_within("paid", 30).await;
    let timers = stage.start("one");
    stage.pass(29).await;
    stage.execute("paid", pay("p", 3000)).await;
    stage.pass(10).await;
    assert_eq!(stage.status("late").await, Status::Cancelled);
    assert_eq!(stage.status("paid").await, Status::PaymentAuthorized);
    timers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_became_due_while_nobody_was_there_fires_after_the_start() {
    let stage = Stage::new();
    for n in 0..500 {
        stage.reserved_for(&format!("order-{n}"), 1 + n % 7).await;
    }
    stage.pass(100).await;
    let timers = stage.start("one");
    stage.pass(5).await;
    assert_eq!(timers.status.borrow().fired, 500);
    timers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_instances_one_fires_and_the_other_takes_over() {
    let stage = Stage::new();
    stage.reserved_for("a", 5).await;
    let (one, other) = (stage.start("one"), stage.start("other"));
    stage.pass(10).await;
    let states = [one.state(), other.state()];
    assert!(states.contains(&TimersState::Running) && states.contains(&TimersState::Standby), "{states:?}");
    assert_eq!(one.status.borrow().fired + other.status.borrow().fired, 1);
    let (running, standby) = if one.state() == TimersState::Running { (one, other) } else { (other, one) };
    running.stop().await;
    stage.reserved_for("b", 5).await;
    stage.pass(15).await;
    assert_eq!((standby.state(), stage.status("b").await), (TimersState::Running, Status::PaymentAuthorized));
    standby.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_refused_for_good_is_set_aside_and_holds_up_no_other() {
    let limits = ServiceLimits { order_events: 3, last_events: 0, ..ServiceLimits::default() };
    let stage = Stage::with_limits(limits);
    stage.reserved_for("full", 5).await;
    stage.to_be_paid_within("fine", 6).await;
    let timers = stage.start("one");
    stage.pass(20).await;
    assert_eq!((stage.status("full").await, stage.types("full").await.len()), (Status::InventoryReserved, 3));
    assert_eq!(stage.status("fine").await, Status::Cancelled);
    let status = timers.status.borrow().clone();
    assert_eq!((status.fired, status.set_aside), (1, 1));
    timers.stop().await;
}

/// A log that counts how often a history is read.
struct CountedReads {
    log: Arc<dyn Store>,
    histories: AtomicU64,
}

#[async_trait]
impl EventLog for CountedReads {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.log.append(append).await
    }

    async fn read_stream(&self, id: &OrderId, after: Version, limit: PageLimit) -> Events {
        self.histories.fetch_add(1, Ordering::Relaxed);
        self.log.read_stream(id, after, limit).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Events {
        self.log.read_log(after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.log.end().await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        self.log.version(order_id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.log.check().await
    }
}

type Events = Result<Vec<RecordedEvent>, StoreError>;

#[tokio::test(start_paused = true)]
async fn the_history_of_an_order_that_is_set_aside_is_not_read_at_each_look_but_when_it_has_changed() {
    let stage = Stage::new();
    stage.reserved_for("full", 5).await;
    let World { store, bus, clock, ids, .. } = &stage.world;
    let log = Arc::new(CountedReads { log: store.clone(), histories: AtomicU64::new(0) });
    // Nothing stays in the cache, as where there are many such orders.
    let limits =
        ServiceLimits { order_events: 3, last_events: 0, order_cache_bytes: 0, ..ServiceLimits::default() };
    let service = OrderService::new(
        log.clone(),
        store.clone(),
        store.clone(),
        bus.clone(),
        Arc::new(clock.clone()),
        ids.clone(),
        limits,
    );
    let timers = stage.start_with("one", service);
    stage.pass(10).await;
    assert_eq!(timers.status.borrow().set_aside, 1);
    let read = log.histories.load(Ordering::Relaxed);
    stage.pass(60).await;
    assert_eq!((timers.status.borrow().set_aside, log.histories.load(Ordering::Relaxed)), (1, read));

    // By an instance with room for more.
    stage.execute("full", HoldOrder { reason: None }).await;
    stage.pass(3).await;
    assert!(log.histories.load(Ordering::Relaxed) > read);
    timers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_the_clock_has_jumped_timers_pause_and_then_go_on() {
    let stage = Stage::new();
    stage.reserved_for("a", 3600).await;
    let timers = stage.start("one");
    stage.pass(3).await;
    let before = stage.world.clock.now().as_micros();
    stage.world.clock.set(before + 2 * 86_400 * 1_000_000);
    stage.pass(3).await;
    assert_eq!(timers.state(), TimersState::Paused);
    assert_eq!(stage.status("a").await, Status::InventoryReserved);
    // Set right again, and trusted again a while after that.
    stage.world.clock.set(before + 6 * 1_000_000);
    stage.pass(CLOCK_PAUSE.as_secs() - 10).await;
    assert_eq!(timers.state(), TimersState::Paused);
    stage.pass(20).await;
    assert_eq!(timers.state(), TimersState::Running);
    assert_eq!(stage.status("a").await, Status::InventoryReserved);
    stage.pass(3600).await;
    assert_eq!(stage.status("a").await, Status::PaymentAuthorized);
    timers.stop().await;
    let elapsed = stage.began.elapsed();
    assert!(elapsed < Duration::from_secs(3600 + 2000), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_does_not_pause_for_a_jump_of_long_ago() {
    let stage = Stage::new();
    let (one, other) = (stage.start("one"), stage.start("other"));
    stage.pass(3).await;
    let (running, standby) = if one.state() == TimersState::Running { (one, other) } else { (other, one) };
    stage.world.clock.set(stage.world.clock.now().as_micros() + 3600 * 1_000_000);
    stage.pass(CLOCK_PAUSE.as_secs() + 10).await;
    running.stop().await;
    stage.reserved_for("a", 5).await;
    stage.pass(15).await;
    assert_eq!((standby.state(), stage.status("a").await), (TimersState::Running, Status::PaymentAuthorized));
    standby.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_clock_is_known_to_be_wrong_leaves_timers_to_another() {
    let stage = Stage::new();
    stage.reserved_for("a", 5).await;
    let wrong = stage.start("wrong");
    stage.pass(3).await;
    assert_eq!(wrong.state(), TimersState::Running);
    stage.world.clock.set_doubted(true);
    stage.pass(10).await;
    assert_eq!(wrong.state(), TimersState::Paused);
    assert_eq!(wrong.status.borrow().detail.as_deref(), Some("it is ahead"));
    assert_eq!(stage.status("a").await, Status::InventoryReserved);
    // The lease is free at once.
    let claim = stage.checkpoints.claim("timers", "right", None).await;
    assert!(matches!(claim, Ok(Claim::Granted(_))), "{claim:?}");
    stage.world.clock.set_doubted(false);
    stage.pass(10).await;
    assert_eq!((wrong.state(), stage.status("a").await), (TimersState::Running, Status::PaymentAuthorized));
    wrong.stop().await;
}

/// The clock is two days ahead for an earlier event and then right again.
#[tokio::test(start_paused = true)]
async fn a_life_is_reckoned_from_the_clock_at_the_command() {
    let stage = Stage::new();
    stage.world.clock.set(NEW_YEAR + 2 * 86_400 * 1_000_000);
    stage.execute("a", place()).await;
    stage.execute("a", pay("p", 3000)).await;
    stage.world.clock.set(NEW_YEAR);
    let timers = stage.start("one");
    let reservation_id = ReservationId::new("r").unwrap();
    stage.execute("a", ReserveInventory { reservation_id, expires_in_seconds: Some(60) }).await;
    stage.pass(63).await;
    assert_eq!(stage.status("a").await, Status::PaymentAuthorized);
    timers.stop().await;
}
