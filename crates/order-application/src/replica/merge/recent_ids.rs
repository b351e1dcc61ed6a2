use std::collections::VecDeque;

use uuid::Uuid;

use crate::event::Position;

/// Ids that are remembered. More than what is ready or on its way to the store, which cannot be asked about that.
const MAX_RECENT: usize = 65_536;

/// The ids of the events that came last, so that a repetition can be told from another log's event.
pub(super) struct RecentIds {
    /// The position of the first.
    first: Position,
    ids: VecDeque<Uuid>,
}

/// What is known of an event that seems to be a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is one.
    Same,
    /// Another event has its position.
    Other,
    /// Only the store knows.
    TooOld,
}

impl RecentIds {
    pub(super) fn after(position: Position) -> Self {
        Self { first: position.plus(1), ids: VecDeque::new() }
    }

    /// Remembers the event that comes next.
    pub(super) fn push(&mut self, id: Uuid) {
        if self.ids.len() == MAX_RECENT {
            self.ids.pop_front();
            self.first = self.first.plus(1);
        }
        self.ids.push_back(id);
    }

    pub(super) fn knows(&self, position: Position, id: Uuid) -> Known {
        let known = position.0.checked_sub(self.first.0).and_then(|index| self.ids.get(index as usize));
        match known {
            Some(known) if *known == id => Known::Same,
            Some(_) => Known::Other,
            None => Known::TooOld,
        }
    }
}
