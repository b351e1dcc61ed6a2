//! A store that never answers.

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use order_application::{Waiting, Waits};
use tokio::time::Instant;

use super::*;

pub(crate) struct Silent;

#[async_trait]
impl EventLog for Silent {
    async fn append(&self, _: Append) -> Result<Position, AppendError> {
        pending().await
    }

    async fn read_stream(
        &self,
        _: &OrderId,
        _: Version,
        _: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        pending().await
    }

    async fn read_log(&self, _: Position, _: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        pending().await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        pending().await
    }

    async fn version(&self, _: &OrderId) -> Result<Version, StoreError> {
        pending().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        pending().await
    }
}

#[async_trait]
impl OrderViews for Silent {
    async fn one(&self, _: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        pending().await
    }

    async fn many(&self, _: &ListQuery) -> Result<OrderPage, StoreError> {
        pending().await
    }

    async fn due(&self, _: &DueQuery) -> Result<DuePage, StoreError> {
        pending().await
    }

    async fn count(&self, _: Status, _: usize) -> Result<usize, StoreError> {
        pending().await
    }
}

#[async_trait]
impl Receipts for Silent {
    async fn find_receipt(&self, _: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        pending().await
    }

    async fn keep_receipt(&self, _: Receipt) -> Result<Receipt, StoreError> {
        pending().await
    }

    async fn trim_receipts(&self, _: ReceiptAge, _: usize) -> Result<Trimmed, StoreError> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_does_not_wait_for_ever_behind_others_to_the_same_order() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    let service = world.instance();
    let stuck = service.clone();
    let stuck = tokio::spawn(async move { execute(&stuck, "a", place()).await });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let outcome = execute(&service, "a", place()).await;
    assert_eq!(outcome, Err(CommandError::Store(StoreError::Overloaded)));
    assert!(begun.elapsed() < world.limits.command_patience + Duration::from_millis(100));
    stuck.abort();
}

/// Notes whether it waits.
struct Noted {
    waits: AtomicBool,
    network: IpAddr,
}

impl Noted {
    fn new(network: impl Into<IpAddr>) -> Arc<Self> {
        Arc::new(Self { waits: AtomicBool::default(), network: network.into() })
    }

    /// What goes with its commands.
    fn meta(self: &Arc<Self>) -> CommandMeta {
        CommandMeta { waiting: Some(Waiting(self.clone())), ..CommandMeta::default() }
    }
}

impl Waits for Noted {
    fn begin_waiting(&self) {
        assert!(!self.waits.swap(true, Ordering::Relaxed));
    }

    fn end_waiting(&self) {
        assert!(self.waits.swap(false, Ordering::Relaxed));
    }

    fn network(&self) -> IpAddr {
        self.network
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_a_command_is_told_while_it_waits_for_others_to_the_same_order() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    let service = world.instance();
    let [first, second] = [(); 2].map(|()| Noted::new(Ipv4Addr::LOCALHOST));
    let send = |noted: &Arc<Noted>| Box::pin(service.execute(Some(id("a")), place(), noted.meta()));
    let (mut at_work, mut behind) = (send(&first), send(&second));
    assert!((&mut at_work).now_or_never().is_none() && (&mut behind).now_or_never().is_none());
    let waits = || [&first, &second].map(|noted| noted.waits.load(Ordering::Relaxed));
    assert_eq!(waits(), [false, true]);
    drop(at_work);
    assert!((&mut behind).now_or_never().is_none());
    assert_eq!(waits(), [false, false], "the store is at work for it");
    let mut last = send(&first);
    assert!((&mut last).now_or_never().is_none());
    assert_eq!(waits(), [true, false]);
    drop(last);
    assert_eq!(waits(), [false, false], "it has left");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_for_one_order_or_one_key_and_only_those_of_other_machines_still_may() {
    /// One that is at work, and those that wait for it.
    const MOST: usize = 1 + 128;
    let service = World { store: Arc::new(Silent), ..World::new() }.instance();
    let overloaded = CommandError::Store(StoreError::Overloaded);
    let [first, second] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|address| Some(IpAddr::from(address)));

    for crowd in [first, None] {
        let place = |order, from: Option<IpAddr>| {
            let meta = from.map(|from| Noted::new(from).meta()).unwrap_or_default();
            Box::pin(service.execute(Some(id(order)), place(), meta))
        };
        let mut waiting: Vec<_> = (0..MOST).map(|_| place("a", crowd)).collect();
        assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
        assert_eq!(place("a", crowd).now_or_never(), Some(Err(overloaded.clone())));
        assert_eq!(place("a", second).now_or_never(), None, "another machine");
        assert_eq!(place("b", crowd).now_or_never(), None, "another order");
        drop(waiting.pop());
        assert_eq!(place("a", crowd).now_or_never(), None, "one has left");
    }

    for crowd in [first, None] {
        let asked = Fingerprint::of(&[b"asked"]);
        let claim = |key, from| Box::pin(service.claim(ReceiptKey::new(None, key), asked, from));
        let mut waiting: Vec<_> = (0..MOST).map(|_| claim("k", crowd)).collect();
        assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
        assert_eq!(claim("k", crowd).now_or_never().and_then(Result::err), Some(overloaded.clone()));
        assert!(claim("k", second).now_or_never().is_none(), "another machine");
        assert!(claim("l", crowd).now_or_never().is_none(), "another key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_is_given_up_in_time_when_its_order_cannot_be_read() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    let begun = Instant::now();
    let outcome = execute(&world.instance(), "a", reserve()).await;
    assert!(matches!(outcome, Err(CommandError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    assert_eq!(begun.elapsed().as_secs(), world.limits.command_patience.as_secs());
}
