use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use order_application::{EventBus, StoreError, ViewRepair, ViewsProgress, ViewsStatus};
use order_domain::OrderId;
use order_store::{OpenError, SqliteLimits, SqliteStore};

pub(crate) fn open_sqlite(
    path: &Path,
    bus: Arc<dyn EventBus>,
    limits: SqliteLimits,
    _: &ViewsProgress,
) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, bus, limits)
}

pub(crate) fn open_sqlite_replica(
    path: &Path,
    bus: Arc<dyn EventBus>,
    limits: SqliteLimits,
    _: &ViewsProgress,
) -> Result<SqliteStore, OpenError> {
    SqliteStore::open_replica(path, bus, limits)
}

pub(crate) struct Unmended;

#[async_trait]
impl ViewRepair for Unmended {
    async fn mend(&self, _: &[OrderId], _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        ViewsStatus::default()
    }
}
