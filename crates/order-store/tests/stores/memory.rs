use std::sync::Arc;

use order_application::{Checkpoints, EventBus};
use order_store::MemoryStore;

use crate::contract::{Fixture, ReplicaFixture, Store, StoreOfReplica, bus, contract_suite, replica_suite};

struct Memory(Arc<MemoryStore>);

impl Fixture for Memory {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        Self(Arc::new(MemoryStore::new(bus)))
    }

    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }

    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        self.0.clone()
    }

    /// It has nothing to reload from.
    fn reopen(self, _: Arc<dyn EventBus>) -> Self {
        self
    }
}

contract_suite!(Memory);

struct MemoryReplica(Arc<MemoryStore>);

impl ReplicaFixture for MemoryReplica {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        Self(Arc::new(MemoryStore::replica(bus)))
    }

    fn store(&self) -> Arc<dyn StoreOfReplica> {
        self.0.clone()
    }

    /// It has nothing to reload from.
    fn reopen(self, _: Arc<dyn EventBus>) -> Self {
        self
    }

    fn ordinary() -> (Arc<dyn StoreOfReplica>, Option<tempfile::TempDir>) {
        (Arc::new(MemoryStore::new(bus())), None)
    }
}

mod replica {
    super::replica_suite!(super::MemoryReplica);
}
