//! Views in memory are changed with their log, under one lock, and nothing damages them: there is nothing to mend.

use async_trait::async_trait;
use order_application::{Position, StoreError, ViewRepair, ViewsStatus};
use order_domain::OrderId;

use super::MemoryStore;

#[async_trait]
impl ViewRepair for MemoryStore {
    async fn mend(&self, _: &[OrderId], _: &[Position], _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        ViewsStatus::default()
    }
}
