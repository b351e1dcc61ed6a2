use std::sync::Arc;

use order_application::{Checkpoints, EventBus};
use order_store::{PostgresOptions, PostgresStore};
use test_servers::PostgresServer;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::contract::{Fixture, Store, contract_suite};

/// On the server that the tests of this process share, which does not wait for its disk.
pub(crate) const QUICK_SERVER: PostgresOptions =
    PostgresOptions { allow_unsafe_durability: true, ..PostgresOptions::DEFAULT };

struct Postgres {
    url: String,
    store: Arc<PostgresStore>,
}

fn open(url: &str, bus: Arc<dyn EventBus>) -> Arc<PostgresStore> {
    let store = PostgresStore::open(url, bus, QUICK_SERVER);
    Arc::new(block_in_place(|| Handle::current().block_on(store)).unwrap())
}

impl Fixture for Postgres {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        Self { store: open(&url, bus), url }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        self.store.clone()
    }

    fn reopen(self, bus: Arc<dyn EventBus>) -> Self {
        let Self { url, store } = self;
        drop(store);
        Self { store: open(&url, bus), url }
    }
}

contract_suite!(Postgres);
