//! Opens the store that a URL names.

use std::sync::Arc;

use order_application::{Checkpoints, EventBus, EventLog, OrderViews};
use order_store::{MemoryStore, PostgresStore, SqliteLimits, SqliteStore};

use crate::store_url::StoreUrl;

/// A store, by what only its kind can do.
pub(crate) enum OpenStore {
    Memory(Arc<MemoryStore>),
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl OpenStore {
    pub(crate) async fn open(url: &StoreUrl, bus: Arc<dyn EventBus>) -> anyhow::Result<Self> {
        Ok(match url {
            StoreUrl::Memory => Self::Memory(Arc::new(MemoryStore::new(bus))),
            StoreUrl::Sqlite(path) => {
                Self::Sqlite(Arc::new(SqliteStore::open(path, bus, SqliteLimits::default())?))
            }
            StoreUrl::Postgres { url, options } => {
                Self::Postgres(Arc::new(PostgresStore::open(url, bus, *options).await?))
            }
        })
    }

    pub(crate) fn log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// The same store, for readers.
    pub(crate) fn views(&self) -> Arc<dyn OrderViews> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// The same store, for what follows its log.
    pub(crate) fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Waits until the store has stopped for good, and says why.
    pub(crate) async fn stopped(&self) -> String {
        match self {
            // A database that is away comes back.
            Self::Memory(_) | Self::Postgres(_) => std::future::pending().await,
            Self::Sqlite(store) => store.stopped().await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Sqlite(store) => store.close(),
            Self::Postgres(store) => store.close().await,
        }
    }
}
