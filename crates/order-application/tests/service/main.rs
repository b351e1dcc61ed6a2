//! The use cases against a real store. Two services on one store stand for two instances of the program.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod commands;
mod figures;
mod follower;
mod forestalled;
mod instances;
mod keys;
mod queries;
mod receipt_trimmer;
mod relay;
mod replica;
mod scrubber;
mod silent_store;
mod timers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use order_application::*;
use order_bus::InProcessBus;
use order_domain::*;
use order_store::MemoryStore;
use uuid::Uuid;

/// 2026-01-01T00:00:00Z, in microseconds.
pub(crate) const NEW_YEAR: i64 = 1_767_225_600_000_000;

/// A clock that tests set.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>, Arc<AtomicBool>);

impl TestClock {
    pub(crate) fn set(&self, unix_micros: i64) {
        self.0.store(unix_micros, Ordering::SeqCst);
    }

    /// Whether another clock shows another time.
    pub(crate) fn set_doubted(&self, is_doubted: bool) {
        self.1.store(is_doubted, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn doubt(&self) -> Option<String> {
        self.1.load(Ordering::SeqCst).then(|| "it is ahead".to_owned())
    }
}

/// Ids in sequence.
#[derive(Default)]
struct TestIds(AtomicU64);

impl IdSource for TestIds {
    fn next(&self) -> Uuid {
        Uuid::from_u64_pair(0x0197_0000_0000_7000, self.0.fetch_add(1, Ordering::SeqCst) | (1 << 63))
    }
}

/// A store keeps a log with its views, and receipts.
pub(crate) trait Store: EventLog + OrderViews + Receipts {}

impl<S: EventLog + OrderViews + Receipts> Store for S {}

/// The first page of orders that were placed after a position.
pub(crate) async fn list(
    views: &(impl OrderViews + ?Sized),
    after: Position,
    limit: usize,
) -> Vec<ListedOrder> {
    views.many(&ListQuery::placed_after(after, limit)).await.unwrap().orders
}

/// A store with services on it.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    bus: Arc<InProcessBus>,
    ids: Arc<TestIds>,
    pub(crate) clock: TestClock,
    pub(crate) limits: ServiceLimits,
}

impl World {
    pub(crate) fn new() -> Self {
        let bus = Arc::new(InProcessBus::new());
        Self {
            store: Arc::new(MemoryStore::new(bus.clone())),
            bus,
            ids: Arc::default(),
            clock: TestClock(Arc::new(AtomicI64::new(NEW_YEAR)), Arc::default()),
            limits: ServiceLimits::default(),
        }
    }

    /// An instance of the program on this store.
    pub(crate) fn instance(&self) -> OrderService {
        OrderService::new(
            self.store.clone(),
            self.store.clone(),
            self.store.clone(),
            self.bus.clone(),
            Arc::new(self.clock.clone()),
            self.ids.clone(),
            self.limits,
        )
    }
}

pub(crate) fn id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

/// Two units at 15.00.
pub(crate) fn place() -> OrderCommand {
    place_lines(1)
}

pub(crate) fn place_lines(lines: usize) -> OrderCommand {
    let line = |n| OrderLine {
        sku: Sku::new(format!("sku-{n}")).unwrap(),
        quantity: Quantity::new(2).unwrap(),
        unit_price: Cents::new(1500).unwrap(),
    };
    PlaceOrder {
        customer_id: CustomerId::new("cust-1").unwrap(),
        lines: (0..lines).map(line).collect(),
        currency: None,
        default_currency: Currency::USD,
        adjustments: None,
        metadata: None,
        pay_within_seconds: None,
    }
    .into()
}

pub(crate) fn pay(payment_id: &str, amount: i64) -> OrderCommand {
    let amount = Some(Cents::new(amount).unwrap());
    AuthorizePayment { payment_id: PaymentId::new(payment_id).unwrap(), amount, expires_in_seconds: None }
        .into()
}

/// Holds the order back, or lets it go on. An order takes thousands of these.
pub(crate) fn hold(hold: bool) -> OrderCommand {
    if hold { HoldOrder { reason: None }.into() } else { ReleaseHold { reason: None }.into() }
}

/// Cancels what is open.
pub(crate) fn cancel() -> OrderCommand {
    CancelUnits { cancellation_id: None, units: None, reason: None }.into()
}

pub(crate) fn reserve() -> OrderCommand {
    ReserveInventory { reservation_id: ReservationId::new("res-1").unwrap(), expires_in_seconds: None }.into()
}

pub(crate) fn ship() -> OrderCommand {
    let tracking_number = TrackingNumber::new("track-1").unwrap();
    ShipOrder { tracking_number, carrier: Carrier::new("UPS").unwrap(), units: None }.into()
}

/// Carries out a command on an order that is named.
pub(crate) async fn execute(
    service: &OrderService,
    order_id: &str,
    command: OrderCommand,
) -> Result<CommandOutcome, CommandError> {
    service.execute(Some(id(order_id)), command, CommandMeta::default()).await
}

#[track_caller]
pub(crate) fn refusal(outcome: Result<CommandOutcome, CommandError>) -> (OrderError, Option<OrderFacts>) {
    match outcome {
        Err(CommandError::Refused { error, facts }) => (error, facts),
        other => panic!("not refused: {other:?}"),
    }
}
