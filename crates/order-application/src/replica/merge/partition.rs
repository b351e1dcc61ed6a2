use std::collections::BTreeSet;

use crate::event::Position;

/// How far a partition has come.
#[derive(Default)]
pub(super) struct Partition {
    /// The offset after the last delivery.
    pub(super) next_offset: Option<u64>,
    /// The highest position that it has delivered.
    pub(super) furthest: Option<Position>,
    /// The offsets of its early arrivals.
    pub(super) held: BTreeSet<u64>,
    /// The lowest offset of its early arrivals that were dropped and are still needed.
    pub(super) dropped_from: Option<u64>,
    pub(super) is_paused: bool,
}

impl Partition {
    /// Whether it has delivered something later.
    pub(super) fn has_passed(&self, position: Position) -> bool {
        self.furthest.is_some_and(|furthest| furthest > position)
    }

    /// Forgets an early arrival that will be needed all the same.
    pub(super) fn drop_held(&mut self, offset: u64) {
        self.held.remove(&offset);
        self.dropped_from = Some(self.dropped_from.map_or(offset, |from| from.min(offset)));
    }

    /// The lowest offset that is still needed.
    pub(super) fn first_needed(&self) -> Option<u64> {
        [self.held.first().copied(), self.dropped_from, self.next_offset].into_iter().flatten().min()
    }
}
