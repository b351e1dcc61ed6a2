//! The ids of a log's events by their positions, for whoever compares many with those that somebody else has.

use std::sync::Arc;

use uuid::Uuid;

use crate::event::Position;
use crate::ports::event_log::{EventLog, PageLimit, StoreError};

/// Events that are read at a time. What is compared comes in runs.
const PAGE: PageLimit = PageLimit::events(500);

pub(crate) struct LogIds {
    log: Arc<dyn EventLog>,
    /// The page that was read last: where it begins, and its ids.
    first: Position,
    ids: Vec<Uuid>,
}

impl LogIds {
    pub(crate) fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, first: Position(1), ids: Vec::new() }
    }

    /// The id of the event at a position. `None` where the log has no event.
    pub(crate) async fn at(&mut self, position: Position) -> Result<Option<Uuid>, StoreError> {
        if let Some(found) = self.find(position) {
            return Ok(Some(found));
        }
        let Some(before) = position.0.checked_sub(1) else { return Ok(None) };
        let page = self.log.read_log(Position(before), PAGE).await?;
        let continues = page.first().is_some_and(|event| event.position == position);
        self.first = position;
        self.ids = page.iter().filter(|_| continues).map(|event| event.id).collect();
        Ok(self.find(position))
    }

    fn find(&self, position: Position) -> Option<Uuid> {
        let index = position.0.checked_sub(self.first.0)?;
        self.ids.get(usize::try_from(index).ok()?).copied()
    }
}
