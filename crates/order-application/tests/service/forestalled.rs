//! A store at which another instance is always quicker.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::*;

/// What an append takes.
const ROUND_TRIP: Duration = Duration::from_millis(10);

struct Forestalled(MemoryStore);

#[async_trait]
impl EventLog for Forestalled {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        match append.expected_version {
            Version::NONE => self.0.append(append).await,
            current => {
                sleep(ROUND_TRIP).await;
                Err(AppendError::Conflict { current })
            }
        }
    }

    async fn read_stream(&self, id: &OrderId, after: Version, limit: PageLimit) -> Events {
        self.0.read_stream(id, after, limit).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Events {
        self.0.read_log(after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.0.end().await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        self.0.version(order_id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl OrderViews for Forestalled {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.0.one(order_id).await
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        self.0.many(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        self.0.due(query).await
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        self.0.count(status, at_most).await
    }
}

#[async_trait]
impl Receipts for Forestalled {
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        self.0.find_receipt(key).await
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.0.keep_receipt(receipt).await
    }

    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        self.0.trim_receipts(age, limit).await
    }
}

type Events = Result<Vec<RecordedEvent>, StoreError>;

#[tokio::test(start_paused = true)]
async fn a_command_that_others_forestall_each_time_is_told_so_when_its_time_is_over() {
    let mut world = World::new();
    world.store = Arc::new(Forestalled(MemoryStore::new(world.bus.clone())));
    let service = world.instance();
    execute(&service, "a", place()).await.unwrap();
    let begun = Instant::now();
    let first = execute(&service, "a", pay("p", 1));
    let second = execute(&service, "a", pay("q", 1));
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(first, Err(CommandError::ConcurrentModification(Some(_)))), "{first:?}");
    // It waited in line for as long.
    assert_eq!(second, Err(CommandError::Store(StoreError::Overloaded)));
    let took = begun.elapsed();
    let patience = world.limits.command_patience;
    assert!((patience..patience + 2 * ROUND_TRIP).contains(&took), "{took:?}");
}
