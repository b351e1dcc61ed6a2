//! The store of a replica: its log is a copy of another's.

use std::collections::HashMap;

use async_trait::async_trait;
use order_application::{Append, Checkpoint, Position, ReplicaStore, StoreError, Version};
use order_domain::OrderId;

use super::{MemoryStore, Tables};
use crate::replication::{check_append, check_reached, does_not_continue, is_no_replica};

#[async_trait]
impl ReplicaStore for MemoryStore {
    async fn replicate(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        if !self.is_replica {
            return Err(is_no_replica());
        }
        let mut tables = self.write();
        check(&tables, &appends, &checkpoint)?;
        let first = tables.log.len();
        let anything = !appends.is_empty();
        for append in appends {
            tables.append(append);
        }
        tables.checkpoints.entry(name.into()).or_default().checkpoint = Some(checkpoint);
        if anything {
            self.announce(&tables, first);
        }
        Ok(())
    }
}

/// All before anything is done: every append continues its order, and together they reach the checkpoint.
fn check(tables: &Tables, appends: &[Append], checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let mut changed = HashMap::<&OrderId, Version>::new();
    let mut reached = Position(tables.log.len() as u64);
    for append in appends {
        check_append(append)?;
        let Append {
            order_id,
            expected_version,
            history: _,
            events,
            view,
            terms: _,
            receipt: _,
            deadline: _,
            trace: _,
        } = append;
        let current = changed.get(order_id).copied().unwrap_or_else(|| tables.version(order_id));
        if current != *expected_version && !view.is_damaged() {
            return Err(does_not_continue(order_id, current, expected_version.plus(1)));
        }
        changed.insert(order_id, view.version());
        reached = reached.plus(events.len() as u64);
    }
    check_reached(reached, checkpoint)
}
