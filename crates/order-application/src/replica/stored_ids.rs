use std::sync::Arc;

use uuid::Uuid;

use super::{OtherLog, ReplicaError};
use crate::event::Position;
use crate::log_ids::LogIds;
use crate::ports::replica_store::ReplicaStore;

/// Tells repetitions of what is in the store from another log's events.
pub(super) struct StoredIds(LogIds);

impl StoredIds {
    pub(super) fn new(store: Arc<dyn ReplicaStore>) -> Self {
        Self(LogIds::new(store))
    }

    /// Checks that the event at a position of the store has this id.
    ///
    /// # Errors
    /// [`ReplicaError::OtherLog`] if not; otherwise the store's.
    pub(super) async fn check(&mut self, position: Position, id: Uuid) -> Result<(), ReplicaError> {
        if self.0.at(position).await? == Some(id) {
            return Ok(());
        }
        Err(OtherLog::another_event(position).into())
    }

    /// Checks that the event before a position of the store is the one that is `named`.
    ///
    /// # Errors
    /// [`ReplicaError::OtherLog`] if not; otherwise the store's.
    pub(super) async fn check_before(&mut self, position: Position, named: Uuid) -> Result<(), ReplicaError> {
        let found = self.0.at(Position(position.0 - 1)).await?;
        if found == Some(named) {
            return Ok(());
        }
        Err(OtherLog::another_before(position, named, found).into())
    }
}
