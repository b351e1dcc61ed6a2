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

pub(crate) mod rebuilding {
    use std::path::Path;

    use order_store::RebuildReport;

    pub(crate) struct SqliteStore;
    pub(crate) struct PostgresStore;

    impl SqliteStore {
        pub(crate) fn rebuild(
            path: &Path,
            progress: &mut dyn FnMut(u64, u64),
        ) -> Result<RebuildReport, std::io::Error> {
            progress(0, 0);
            Err(std::io::Error::other(format!("{}: cannot be rebuilt", path.display())))
        }
    }

    impl PostgresStore {
        pub(crate) async fn rebuild(
            _: &str,
            progress: &mut (dyn FnMut(u64, u64) + Send),
        ) -> Result<RebuildReport, std::io::Error> {
            progress(0, 0);
            Err(std::io::Error::other("cannot be rebuilt"))
        }
    }
}
