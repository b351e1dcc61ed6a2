//! A store that never answers.

use std::future::pending;
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
#[derive(Default)]
struct Noted(AtomicBool);

impl Waits for Noted {
    fn begin_waiting(&self) {
        assert!(!self.0.swap(true, Ordering::Relaxed));
    }

    fn end_waiting(&self) {
        assert!(self.0.swap(false, Ordering::Relaxed));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_a_command_is_told_while_it_waits_for_others_to_the_same_order() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    let service = world.instance();
    let [first, second] = [(); 2].map(|()| Arc::new(Noted::default()));
    let send = |noted: &Arc<Noted>| {
        let meta = CommandMeta { waiting: Some(Waiting(noted.clone())), ..CommandMeta::default() };
        Box::pin(service.execute(Some(id("a")), place(), meta))
    };
    let (mut at_work, mut behind) = (send(&first), send(&second));
    assert!((&mut at_work).now_or_never().is_none() && (&mut behind).now_or_never().is_none());
    let waits = || [&first, &second].map(|noted| noted.0.load(Ordering::Relaxed));
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
async fn only_so_many_wait_for_one_order_or_one_key_and_the_next_is_turned_away_at_once() {
    /// One that is at work, and those that wait for it.
    const MOST: usize = 1 + 128;
    let service = World { store: Arc::new(Silent), ..World::new() }.instance();
    let overloaded = CommandError::Store(StoreError::Overloaded);

    let place = |order| Box::pin(execute(&service, order, place()));
    let mut waiting: Vec<_> = (0..MOST).map(|_| place("a")).collect();
    assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
    assert_eq!(place("a").now_or_never(), Some(Err(overloaded.clone())));
    assert_eq!(place("b").now_or_never(), None, "another order");
    drop(waiting.pop());
    assert_eq!(place("a").now_or_never(), None, "one has left");

    let claim = |key| Box::pin(service.claim(ReceiptKey::new(None, key), Fingerprint::of(&[b"asked"])));
    let mut waiting: Vec<_> = (0..MOST).map(|_| claim("k")).collect();
    assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
    assert_eq!(claim("k").now_or_never().and_then(Result::err), Some(overloaded));
    assert!(claim("l").now_or_never().is_none(), "another key");
}

#[tokio::test(start_paused = true)]
async fn a_command_is_given_up_in_time_when_its_order_cannot_be_read() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    let begun = Instant::now();
    let outcome = execute(&world.instance(), "a", reserve()).await;
    assert!(matches!(outcome, Err(CommandError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    assert_eq!(begun.elapsed().as_secs(), world.limits.command_patience.as_secs());
}
