//! What was published and not acknowledged yet. Bounded, so that a broker that is slow costs no memory: the backlog waits
//! in the log.

use std::collections::VecDeque;

use crate::event::{Position, RecordedEvent};

#[derive(Default)]
pub(super) struct Window {
    /// The last position of each page that was published, with its size.
    pages: VecDeque<Page>,
    events: usize,
    bytes: usize,
}

struct Page {
    last: Position,
    events: usize,
    bytes: usize,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) fn has_room(&self, max_events: usize, max_bytes: usize) -> bool {
        self.events < max_events && self.bytes < max_bytes
    }

    pub(super) fn add(&mut self, published: &[RecordedEvent]) {
        let Some(last) = published.last().map(|event| event.position) else { return };
        let bytes = published.iter().map(|event| event.data.len()).sum();
        self.pages.push_back(Page { last, events: published.len(), bytes });
        self.events += published.len();
        self.bytes += bytes;
    }

    /// Forgets the pages of which everything is acknowledged.
    pub(super) fn acknowledge(&mut self, up_to: Position) {
        while let Some(page) = self.pages.front().filter(|page| page.last <= up_to) {
            self.events -= page.events;
            self.bytes -= page.bytes;
            self.pages.pop_front();
        }
    }
}
