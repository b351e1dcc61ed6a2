use std::sync::Arc;

use anyhow::bail;
use order_application::{EventBus, OrderViews, ReplicaStore};
use order_store::{MemoryStore, SqliteLimits, SqliteStore};

use crate::store_url::StoreUrl;

/// A replica's store, by what only its kind can do.
pub(super) enum OpenReplica {
    Memory(Arc<MemoryStore>),
    Sqlite(Arc<SqliteStore>),
}

impl OpenReplica {
    pub(super) fn open(url: &StoreUrl, bus: Arc<dyn EventBus>) -> anyhow::Result<Self> {
        Ok(match url {
            StoreUrl::Memory => Self::Memory(Arc::new(MemoryStore::replica(bus))),
            StoreUrl::Sqlite(path) => {
                Self::Sqlite(Arc::new(SqliteStore::open_replica(path, bus, SqliteLimits::default())?))
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
