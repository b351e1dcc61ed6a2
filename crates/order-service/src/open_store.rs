//! Opens the store that a URL names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use order_application::figures::MeasuredStore;
use order_application::{
    Checkpoints, EventBus, EventLog, OrderViews, Receipts, ReplicaStore, ViewRepair, ViewsProgress,
};
use order_store::{MemoryStore, OpenMode, PostgresOptions, PostgresStore, SqliteLimits, SqliteStore};

use crate::await_database;
use crate::store_url::StoreUrl;
use crate::thread;

/// A store of any kind: all of its ports, and its end.
#[async_trait]
pub(crate) trait Store:
    EventLog + OrderViews + Receipts + Checkpoints + ViewRepair + MeasuredStore
{
    /// Waits until the store has stopped for good, and says why.
    async fn stopped(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) {}

    /// Why this machine's clock is not to be acted by, where the store has one of its own that shows another time.
    fn clock_doubt(&self) -> Option<String> {
        None
    }
}

impl Store for MemoryStore {}

#[async_trait]
impl Store for SqliteStore {
    async fn stopped(&self) -> String {
        Self::stopped(self).await
    }

    async fn close(&self) {
        Self::close(self);
    }
}

/// A database that is away comes back: it does not stop.
#[async_trait]
impl Store for PostgresStore {
    async fn close(&self) {
        Self::close(self).await;
    }

    fn clock_doubt(&self) -> Option<String> {
        Self::clock_doubt(self)
    }
}

/// A store that is a replica's.
pub(crate) trait Replicating: Store + ReplicaStore {}

impl<S: Store + ReplicaStore> Replicating for S {}

/// How to open it.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) mode: OpenMode,
    /// How long an append waits at most before it is begun.
    pub(crate) queue_wait: Duration,
    /// Whether a database that is away is waited for, as by whoever serves from it.
    pub(crate) awaits_database: bool,
}

/// Opens it. If views have to be made first, `progress` is told how far they are.
pub(crate) async fn open(
    url: &StoreUrl,
    Opening { mode, queue_wait, awaits_database }: Opening,
    bus: Arc<dyn EventBus>,
    progress: ViewsProgress,
) -> anyhow::Result<Arc<dyn Store>> {
    #[cfg(feature = "full-tests")]
    crate::planted_faults::slow_open(&progress).await?;
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryStore::new(bus)),
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            let limits = SqliteLimits { queue_wait, ..SqliteLimits::default() };
            let open = move || Ok(SqliteStore::open_as(&path, bus, limits, &progress, mode)?);
            Arc::new(thread::opening(open).await?)
        }
        StoreUrl::Postgres { url, options } => {
            let OpenMode { create, accept_loss } = mode;
            let options = PostgresOptions { queue_wait, create, accept_loss, ..*options };
            let opening = if awaits_database {
                await_database::open(url, &bus, options).await
            } else {
                PostgresStore::open(url, bus, options).await
            };
            Arc::new(opening?)
        }
    })
}

/// Opens it for a replica.
pub(crate) async fn open_replica(
    url: &StoreUrl,
    bus: Arc<dyn EventBus>,
    progress: ViewsProgress,
) -> anyhow::Result<Arc<dyn Replicating>> {
    #[cfg(feature = "full-tests")]
    crate::planted_faults::slow_open(&progress).await?;
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryStore::replica(bus)),
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            let open = move || Ok(SqliteStore::open_replica(&path, bus, SqliteLimits::default(), &progress)?);
            Arc::new(thread::opening(open).await?)
        }
        StoreUrl::Postgres { .. } => bail!("a replica keeps its orders in sqlite:FILE or memory:"),
    })
}
