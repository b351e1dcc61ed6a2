//! What the use cases ask of the store: the ports, each call handed to whoever does it.

use std::sync::Arc;

use async_trait::async_trait;
use order_application::figures::{MeasuredStore, StoreFigures};
use order_application::{
    Append, AppendError, Beat, Checkpoint, Checkpoints, Claim, DuePage, DueQuery, Epoch, EventLog, ListQuery,
    OrderPage, OrderSummary, OrderView, OrderViews, PageLimit, Position, Receipt, ReceiptAge, ReceiptKey,
    Receipts, RecordedEvent, ReplicaStore, SearchTerm, StoreError, Trimmed, Version, ViewRepair, ViewsStatus,
};
use order_domain::{OrderId, Status};

use crate::replication::{is_no_replica, takes_no_commands};
use crate::sqlite::SqliteStore;
use crate::sqlite::disk_space::space_beside;
use crate::sqlite::log::{entries, follower_checkpoints};
use crate::sqlite::threads::blocking;
use crate::sqlite::writer::LeaseRequest;

#[async_trait]
impl EventLog for SqliteStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        if self.is_replica {
            return Err(takes_no_commands());
        }
        #[cfg(feature = "planted-faults")]
        let append = crate::planted_release::write(append);
        self.writer.append(append).await
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let positions = self.shared.readers.stream_positions(order_id, after, limit.events)?;
        if positions.len() <= MAX_INLINE_ROWS {
            return self.shared.readers.events_at(order_id, &positions, limit.bytes);
        }
        let (shared, order_id) = (Arc::clone(&self.shared), order_id.clone());
        blocking(move || shared.readers.events_at(&order_id, &positions, limit.bytes)).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        let log_end = self.shared.log_end();
        if after >= log_end {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.readers.log.with(|log| entries::events(log, after, log_end, limit))).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(self.shared.log_end())
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        let stream = self.shared.readers.stream_state(order_id)?;
        Ok(stream.map_or(Version::NONE, |stream| stream.version))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.shared.health.check()
    }
}

#[async_trait]
impl OrderViews for SqliteStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.shared.readers.view(order_id)?.map(OrderView::into_summary).transpose()
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        let (shared, query) = (Arc::clone(&self.shared), query.clone());
        blocking(move || shared.readers.list(&query)).await
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        let (shared, query) = (Arc::clone(&self.shared), *query);
        blocking(move || shared.readers.due(&query)).await
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.readers.count(status, at_most)).await
    }

    async fn lost_way_to(
        &self,
        order_id: &OrderId,
        terms: &[SearchTerm],
    ) -> Result<Option<String>, StoreError> {
        self.shared.readers.lost_way_to(order_id, terms)
    }
}

#[async_trait]
impl ViewRepair for SqliteStore {
    /// All views are rebuilt: the damage that was found is seldom all that there is.
    async fn repair_views(&self, _: &[OrderId], _: &[Position], why: &str) -> Result<(), StoreError> {
        self.shared.readers.rebuilds.want(why, true);
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        self.shared.readers.rebuilds.status()
    }
}

impl MeasuredStore for SqliteStore {
    fn figures(&self) -> StoreFigures<'_> {
        StoreFigures {
            writing: Some(&self.shared.writing),
            queue: Some(self.writer.queued()),
            views_lag: Some(self.shared.readers.overlay.events()),
            pool: None,
            disk: space_beside(&self.shared.log_path),
        }
    }
}

/// Checkpoints are in the log's file, since views may be deleted.
#[async_trait]
impl Checkpoints for SqliteStore {
    async fn claim(&self, name: &str, holder: &str, _: Option<Beat>) -> Result<Claim, StoreError> {
        let epoch = self.writer.lease(name, LeaseRequest::Claim { holder: holder.into() }).await?;
        epoch
            .map(Claim::Granted)
            .ok_or_else(|| StoreError::Corrupt(format!("the checkpoint {name:?} has gone")))
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        self.writer.lease(name, LeaseRequest::Release { holder: holder.into(), epoch }).await.map(drop)
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.shared.readers.log.with_checkpoints(|log| follower_checkpoints::load(log, name))
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        let request = LeaseRequest::Save { epoch, checkpoint: checkpoint.clone() };
        Ok(self.writer.lease(name, request).await?.is_some())
    }
}

/// Receipts are in the log's file: they cannot be rebuilt as views can. The views find them.
#[async_trait]
impl Receipts for SqliteStore {
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        self.shared.readers.receipt(key, &self.shared.known_keys)
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.writer.keep_receipt(receipt).await
    }

    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        self.writer.trim_receipts(age, limit).await
    }
}

#[async_trait]
impl ReplicaStore for SqliteStore {
    async fn replicate(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        if !self.is_replica {
            return Err(is_no_replica());
        }
        self.writer.replicate(appends, name, checkpoint).await
    }
}

/// Rows that are read on the caller's thread. A look-up of a few pages that are most likely in memory is cheaper than
/// handing it to another thread; a scan is not.
const MAX_INLINE_ROWS: usize = 32;
