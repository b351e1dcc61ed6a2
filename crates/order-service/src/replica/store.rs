use std::sync::Arc;

use anyhow::bail;
use order_application::{EventBus, OrderViews, ReplicaStore, ScrubberPorts, ViewRepair, ViewsProgress};
use order_store::{MemoryStore, SqliteLimits, SqliteStore};

use crate::opening::on_its_own_thread;
use crate::store_url::StoreUrl;

/// A replica's store, by what only its kind can do.
pub(super) enum OpenReplica {
    Memory(Arc<MemoryStore>),
    Sqlite(Arc<SqliteStore>),
}

impl OpenReplica {
    pub(super) async fn open(
        url: &StoreUrl,
        bus: Arc<dyn EventBus>,
        progress: ViewsProgress,
    ) -> anyhow::Result<Self> {
        #[cfg(feature = "full-tests")]
        crate::planted_faults::slow_open(&progress).await?;
        Ok(match url {
            StoreUrl::Memory => Self::Memory(Arc::new(MemoryStore::replica(bus))),
            StoreUrl::Sqlite(path) => {
                let path = path.clone();
                let open = move || {
                    Ok(SqliteStore::open_replica_telling(&path, bus, SqliteLimits::default(), &progress)?)
                };
                Self::Sqlite(Arc::new(on_its_own_thread(open).await?))
            }
            StoreUrl::Postgres { .. } => bail!("a replica keeps its orders in sqlite:FILE or memory:"),
        })
    }

    pub(super) fn port(&self) -> Arc<dyn ReplicaStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
        }
    }

    /// The same store, for readers.
    pub(super) fn views(&self) -> Arc<dyn OrderViews> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
        }
    }

    /// The same store, for what finds its views wrong.
    pub(super) fn repair(&self) -> Arc<dyn ViewRepair> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
        }
    }

    /// The same store, for the scrubber.
    pub(super) fn scrubber_ports(&self) -> ScrubberPorts {
        ScrubberPorts {
            log: self.port(),
            views: self.views(),
            checkpoints: self.port(),
            repair: self.repair(),
        }
    }

    /// Waits until the store has stopped for good, and says why.
    pub(super) async fn stopped(&self) -> String {
        match self {
            Self::Memory(_) => std::future::pending().await,
            Self::Sqlite(store) => store.stopped().await,
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Sqlite(store) => store.close(),
        }
    }
}
