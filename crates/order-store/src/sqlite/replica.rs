//! The store of a replica: its log is a copy of another's.

use async_trait::async_trait;
use order_application::{Append, Checkpoint, ReplicaStore, StoreError};
use tokio::sync::oneshot;

use super::writer::Replication;
use super::{SqliteStore, WRITER_ENDED};
use crate::replication::is_no_replica;

#[async_trait]
impl ReplicaStore for SqliteStore {
    async fn replicate(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        if !self.is_replica {
            return Err(is_no_replica());
        }
        self.shared.health.check()?;
        let (done, outcome) = oneshot::channel();
        self.writer.submit_replication(Replication { appends, name: name.into(), checkpoint, done })?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown(WRITER_ENDED.to_owned())))
    }
}
