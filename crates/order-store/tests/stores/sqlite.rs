use std::path::PathBuf;
use std::sync::Arc;

use order_application::{Checkpoints, EventBus, EventStore};
use order_store::{SqliteLimits, SqliteStore};
use tempfile::TempDir;

use crate::contract::{Fixture, contract_suite};

/// Views are written every few orders, so that every test meets the overlay, a batch on its way, and the file.
pub(crate) const SMALL_BATCHES: SqliteLimits = SqliteLimits {
    queued_appends: 8_192,
    queued_bytes: 16 * 1024 * 1024,
    view_batch_bytes: 2_500,
    overlay_bytes: 60 * 1024 * 1024,
    wal_pages: 64,
};

struct Sqlite {
    directory: TempDir,
    store: Arc<SqliteStore>,
}

impl Sqlite {
    fn path(directory: &TempDir) -> PathBuf {
        directory.path().join("orders.db")
    }
}

impl Fixture for Sqlite {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Self::path(&directory), bus, SMALL_BATCHES).unwrap();
        Self { directory, store: Arc::new(store) }
    }

    fn store(&self) -> Arc<dyn EventStore> {
        self.store.clone()
    }

    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        self.store.clone()
    }

    fn reopen(self, bus: Arc<dyn EventBus>) -> Self {
        let Self { directory, store } = self;
        drop(store);
        let store = SqliteStore::open(&Self::path(&directory), bus, SMALL_BATCHES).unwrap();
        Self { directory, store: Arc::new(store) }
    }
}

contract_suite!(Sqlite);
