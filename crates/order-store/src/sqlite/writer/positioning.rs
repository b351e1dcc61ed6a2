//! Where appends go: each continues its order, and they follow on each other.

use std::collections::HashMap;

use order_application::{Append, Position, Version};
use order_domain::OrderId;

use crate::sqlite::views::overlay::{OrderKey, StreamState};

/// An append that continues its order, where it goes, and who waits for it.
pub(super) struct Accepted<W> {
    pub(super) append: Append,
    pub(super) key: OrderKey,
    pub(super) first_position: Position,
    pub(super) waiting: W,
}

/// Gives appends their places, one after the other.
pub(super) struct Positioning {
    next: Position,
    /// Orders that this very transaction changes.
    changed: HashMap<OrderId, StreamState>,
}

impl Positioning {
    pub(super) fn new(log_end: Position, appends: usize) -> Self {
        Self { next: log_end.plus(1), changed: HashMap::with_capacity(appends) }
    }

    /// Places an append, whose order stood at `stream` before this transaction. Answers with the order's key, and where the
    /// append begins.
    ///
    /// # Errors
    /// The version that the order is at, when the append does not continue it.
    pub(super) fn place(
        &mut self,
        append: &Append,
        stream: Option<StreamState>,
    ) -> Result<(OrderKey, Position), Version> {
        let stream = self.changed.get(&append.order_id).copied().or(stream);
        let current = stream.map_or(Version::NONE, |stream| stream.version);
        // What is damaged in another log is copied as it is.
        if current != append.expected_version && !append.view.is_damaged() {
            return Err(current);
        }
        let first_position = self.next;
        let key = stream.map_or(first_position.0, |stream| stream.key);
        self.changed.insert(append.order_id.clone(), StreamState::of(key, &append.view));
        self.next = first_position.plus(append.events.len() as u64);
        Ok((key, first_position))
    }

    /// The position of the last event that was placed, or the end of the log if there is none.
    pub(super) fn reached(&self) -> Position {
        Position(self.next.0 - 1)
    }
}
