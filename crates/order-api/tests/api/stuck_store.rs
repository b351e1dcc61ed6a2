//! A store that does not answer.

use std::future::pending;

use async_trait::async_trait;
use order_application::{
    Append, AppendError, DuePage, DueQuery, EventLog, ListQuery, OrderPage, OrderSummary, OrderViews,
    PageLimit, Position, Receipt, ReceiptAge, ReceiptKey, Receipts, RecordedEvent, StoreError, Trimmed,
    Version,
};
use order_domain::{OrderId, Status};

/// Whoever appends, or reads the log, waits for ever. It has nothing.
pub(crate) struct Stuck;

#[async_trait]
impl EventLog for Stuck {
    async fn append(&self, _: Append) -> Result<Position, AppendError> {
        pending().await
    }

    async fn read_stream(
        &self,
        _: &OrderId,
        _: Version,
        _: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(Vec::new())
    }

    async fn read_log(&self, _: Position, _: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        pending().await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(Position::START)
    }

    async fn version(&self, _: &OrderId) -> Result<Version, StoreError> {
        Ok(Version::NONE)
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl OrderViews for Stuck {
    async fn one(&self, _: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        Ok(None)
    }

    async fn many(&self, _: &ListQuery) -> Result<OrderPage, StoreError> {
        Ok(OrderPage { orders: Vec::new(), next: None, left_out: 0 })
    }

    async fn due(&self, _: &DueQuery) -> Result<DuePage, StoreError> {
        Ok(DuePage { orders: Vec::new(), next: None })
    }

    async fn count(&self, _: Status, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl Receipts for Stuck {
    async fn find_receipt(&self, _: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        Ok(None)
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        Ok(receipt)
    }

    async fn trim_receipts(&self, _: ReceiptAge, _: usize) -> Result<Trimmed, StoreError> {
        Ok(Trimmed { receipts: 0, more: false })
    }
}
