use std::sync::Arc;

use uuid::Uuid;

use super::{OtherLog, ReplicaError};
use crate::event::Position;
use crate::ports::event_log::PageLimit;
use crate::ports::replica_store::ReplicaStore;

/// Events that are read at a time. Repetitions come in runs.
const PAGE: PageLimit = PageLimit::events(500);

/// Tells repetitions of what is in the store from another log's events.
pub(super) struct StoredIds {
    store: Arc<dyn ReplicaStore>,
    /// A page of the log that was read last: where it begins, and its ids.
    first: Position,
    ids: Vec<Uuid>,
}

impl StoredIds {
    pub(super) fn new(store: Arc<dyn ReplicaStore>) -> Self {
        Self { store, first: Position(1), ids: Vec::new() }
    }

    /// Checks that the event at a position of the store has this id.
    ///
    /// # Errors
    /// [`ReplicaError::OtherLog`] if not; otherwise the store's.
    pub(super) async fn check(&mut self, position: Position, id: Uuid) -> Result<(), ReplicaError> {
        let found = match self.find(position) {
            Some(found) => Some(found),
            None => {
                let page = self.store.read_log(Position(position.0 - 1), PAGE).await?;
                self.first = position;
                self.ids = page.iter().map(|event| event.id).collect();
                self.find(position)
            }
        };
        if found == Some(id) { Ok(()) } else { Err(OtherLog::another_event(position).into()) }
    }

    fn find(&self, position: Position) -> Option<Uuid> {
        let index = position.0.checked_sub(self.first.0)?;
        self.ids.get(index as usize).copied()
    }
}
