//! Opens the store that a URL names.

use std::sync::Arc;

use order_application::{
    Checkpoints, EventBus, EventLog, OrderViews, ScrubberPorts, ViewRepair, ViewsProgress,
};
use order_store::{MemoryStore, PostgresStore, SqliteLimits, SqliteStore};

use crate::opening::on_its_own_thread;
use crate::store_url::StoreUrl;

/// A store, by what only its kind can do.
pub(crate) enum OpenStore {
    Memory(Arc<MemoryStore>),
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl OpenStore {
    /// Opens it. If views have to be made first, `progress` is told how far they are.
    pub(crate) async fn open(
        url: &StoreUrl,
        bus: Arc<dyn EventBus>,
        progress: ViewsProgress,
    ) -> anyhow::Result<Self> {
        #[cfg(feature = "full-tests")]
        crate::planted_faults::slow_open(&progress).await?;
        Ok(match url {
            StoreUrl::Memory => Self::Memory(Arc::new(MemoryStore::new(bus))),
            StoreUrl::Sqlite(path) => {
                let path = path.clone();
                let open =
                    move || Ok(SqliteStore::open_telling(&path, bus, SqliteLimits::default(), &progress)?);
                Self::Sqlite(Arc::new(on_its_own_thread(open).await?))
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

    /// The same store, for what finds its views wrong.
    pub(crate) fn repair(&self) -> Arc<dyn ViewRepair> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// The same store, for the scrubber.
    pub(crate) fn scrubber_ports(&self) -> ScrubberPorts {
        ScrubberPorts {
            log: self.log(),
            views: self.views(),
            checkpoints: self.checkpoints(),
            repair: self.repair(),
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
