//! A replica's store in memory, whose faults a test commands.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use order_application::*;
use order_bus::InProcessBus;
use order_domain::{OrderId, Status};
use order_store::MemoryStore;

pub(super) struct FakeStore {
    orders: MemoryStore,
    /// As in a store that events were copied into by other means.
    pub(super) without_checkpoint: AtomicBool,
    /// What the next calls of `replicate` answer with; with `true` after they have done their work.
    pub(super) faults: Mutex<VecDeque<(StoreError, bool)>>,
    /// Whether its events cannot be read.
    pub(super) is_damaged: AtomicBool,
    /// How many events each transaction had.
    pub(super) transactions: Mutex<Vec<usize>>,
    /// How many orders were looked up.
    pub(super) look_ups: Mutex<usize>,
}

impl FakeStore {
    pub(super) fn new() -> Self {
        Self {
            orders: MemoryStore::replica(Arc::new(InProcessBus::new())),
            without_checkpoint: AtomicBool::new(false),
            faults: Mutex::default(),
            is_damaged: AtomicBool::new(false),
            transactions: Mutex::default(),
            look_ups: Mutex::default(),
        }
    }

    async fn write(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        let events = appends.iter().map(|append| append.events.len()).sum();
        self.orders.replicate(appends, name, checkpoint).await?;
        self.transactions.lock().unwrap().push(events);
        Ok(())
    }
}

#[async_trait]
impl ReplicaStore for FakeStore {
    async fn replicate(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        // As long as a disk takes, so that others come in between.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => self.write(appends, name, checkpoint).await,
            Some((fault, false)) => Err(fault),
            Some((fault, true)) => {
                self.write(appends, name, checkpoint).await?;
                Err(fault)
            }
        }
    }
}

#[async_trait]
impl Checkpoints for FakeStore {
    async fn claim(&self, _: &str, _: &str, _: Option<Beat>) -> Result<Claim, StoreError> {
        unreachable!("a replica needs no lease: its file is its own")
    }

    async fn release(&self, _: &str, _: &str, _: Epoch) -> Result<(), StoreError> {
        unreachable!("a replica needs no lease: its file is its own")
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        if self.without_checkpoint.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.orders.load(name).await
    }

    async fn save(&self, _: &str, _: Epoch, _: &Checkpoint) -> Result<bool, StoreError> {
        unreachable!("a replica saves its checkpoint with its events")
    }
}

#[async_trait]
impl EventLog for FakeStore {
    async fn append(&self, _: Append) -> Result<Position, AppendError> {
        unreachable!("a replica takes no commands")
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        *self.look_ups.lock().unwrap() += 1;
        self.orders.read_stream(order_id, after, limit).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::Corrupt("an event".to_owned()));
        }
        self.orders.read_log(after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.orders.end().await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        self.orders.version(order_id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.orders.check().await
    }
}

#[async_trait]
impl OrderViews for FakeStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.orders.one(order_id).await
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        self.orders.many(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        self.orders.due(query).await
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        self.orders.count(status, at_most).await
    }
}
