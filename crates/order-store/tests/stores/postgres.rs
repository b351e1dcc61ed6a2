use std::sync::Arc;
use std::time::Duration;

use order_application::{Checkpoints, EventBus};
use order_store::{PostgresOptions, PostgresStore};
use test_servers::PostgresServer;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::contract::{Fixture, Store, bus, contract_suite};

/// On the server that the tests of this process share, which does not wait for its disk.
pub(crate) const QUICK_SERVER: PostgresOptions = PostgresOptions {
    allow_unsafe_durability: true,
    // Tests share a machine, and none of theirs is to be refused for that.
    queue_wait: Duration::from_secs(30),
    ..PostgresOptions::DEFAULT
};

struct Postgres {
    url: String,
    store: Arc<PostgresStore>,
}

fn open(url: &str, bus: Arc<dyn EventBus>, options: PostgresOptions) -> Arc<PostgresStore> {
    let store = PostgresStore::open(url, bus, options);
    Arc::new(block_in_place(|| Handle::current().block_on(store)).unwrap())
}

impl Fixture for Postgres {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        Self { store: open(&url, bus, QUICK_SERVER), url }
    }

    fn open_without_queue_wait() -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        let options = PostgresOptions { queue_wait: Duration::ZERO, ..QUICK_SERVER };
        Self { store: open(&url, bus(), options), url }
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
        Self { store: open(&url, bus, QUICK_SERVER), url }
    }
}

contract_suite!(Postgres);
