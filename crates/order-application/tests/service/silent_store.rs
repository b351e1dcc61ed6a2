//! A store that never answers.

use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;
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

#[tokio::test(start_paused = true)]
async fn a_command_is_given_up_in_time_when_its_order_cannot_be_read() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    let begun = Instant::now();
    let outcome = execute(&world.instance(), "a", reserve()).await;
    assert!(matches!(outcome, Err(CommandError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    assert_eq!(begun.elapsed().as_secs(), world.limits.command_patience.as_secs());
}
