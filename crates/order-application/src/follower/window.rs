//! What was handed over and is not done yet. Bounded, so that another side that is slow costs no memory: what comes after
//! waits in the log.

use std::collections::VecDeque;

use super::FollowerLimits;
use crate::event::{Position, RecordedEvent};

pub(super) struct Window {
    limits: FollowerLimits,
    /// The last position of each page that was handed over, with its size.
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
    pub(super) fn new(limits: FollowerLimits) -> Self {
        Self { limits, pages: VecDeque::new(), events: 0, bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.events < self.limits.window_events && self.bytes < self.limits.window_bytes
    }

    pub(super) fn add(&mut self, events: &[RecordedEvent]) {
        let Some(last) = events.last().map(|event| event.position) else { return };
        let bytes = events.iter().map(|event| event.data.len()).sum();
        self.pages.push_back(Page { last, events: events.len(), bytes });
        self.events += events.len();
        self.bytes += bytes;
    }

    /// Forgets the pages of which everything is done.
    pub(super) fn shrink(&mut self, up_to: Position) {
        while let Some(page) = self.pages.front().filter(|page| page.last <= up_to) {
            self.events -= page.events;
            self.bytes -= page.bytes;
            self.pages.pop_front();
        }
    }
}
