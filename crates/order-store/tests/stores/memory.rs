use std::sync::Arc;

use order_application::{Checkpoints, EventBus, EventStore};
use order_store::MemoryStore;

use crate::contract::{Fixture, contract_suite};

struct Memory(Arc<MemoryStore>);

impl Fixture for Memory {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        Self(Arc::new(MemoryStore::new(bus)))
    }

    fn store(&self) -> Arc<dyn EventStore> {
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
