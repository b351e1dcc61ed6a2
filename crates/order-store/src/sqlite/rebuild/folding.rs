//! An order from its events, those included that cannot be read.

use order_application::{FoldedOrder, OrderView, Position, SearchTerm, StoreError, Unreadable, Version};
use order_domain::OrderId;
use rusqlite::Connection;

use crate::sqlite::log::LogError;
use crate::sqlite::log::entries::{self, LogEntry};
use crate::sqlite::views::overlay::OrderKey;

/// What an event means that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnUnreadable {
    /// Its order has a view that says so: there is nothing else that could be served.
    Quarantine,
    /// These views are of no use: those that are there may know more.
    GiveUp,
}

/// An order all of whose events have been read: what is written of it, which is far less than the order.
pub(super) struct FoldedView {
    pub(super) key: OrderKey,
    pub(super) view: OrderView,
    /// What it is found by.
    pub(super) terms: Vec<SearchTerm>,
    /// Where its events are, but for the first.
    pub(super) later: Vec<Position>,
}

impl FoldedView {
    /// Reads an order from its events: the first, which is at its key, and later ones.
    pub(super) fn read(
        log: &Connection,
        key: OrderKey,
        later: Vec<Position>,
        unreadable: OnUnreadable,
    ) -> Result<Self, LogError> {
        let mut scratch = Vec::new();
        let first = entries::at(log, Position(key), &mut scratch)?;
        let order_id = first.order_id().cloned().ok_or_else(|| changed(&first))?;
        let mut order = fold(None, &order_id, first, unreadable)?;
        for position in &later {
            let entry = entries::at(log, *position, &mut scratch)?;
            if entry.order_id() != Some(&order_id) {
                return Err(changed(&entry));
            }
            order = fold(Some(order), &order_id, entry, unreadable)?;
        }
        let terms = match &order {
            FoldedOrder::Readable(order) => SearchTerm::of_order(&order.order),
            // No list with a filter has it.
            FoldedOrder::Unreadable { .. } => Vec::new(),
        };
        Ok(Self { key, view: order.view(&order_id), terms, later })
    }

    /// Where its last event is.
    pub(super) fn updated_position(&self) -> Position {
        self.later.last().copied().unwrap_or(Position(self.key))
    }

    /// Where its events are; nothing of one that is damaged, whose versions tell nothing.
    pub(super) fn events(&self) -> impl Iterator<Item = (OrderKey, Version, Position)> {
        let later: &[Position] = if self.view.is_damaged() { &[] } else { &self.later };
        later.iter().zip(2..).map(|(position, version)| (self.key, Version(version), *position))
    }
}

/// An order after an event of it.
///
/// # Errors
/// The event's, if it cannot be read and its order does not get a view for that.
pub(super) fn fold(
    before: Option<FoldedOrder>,
    order_id: &OrderId,
    entry: LogEntry,
    unreadable: OnUnreadable,
) -> Result<FoldedOrder, StoreError> {
    let position = entry.position;
    let (after, fault) = match entry.event {
        Ok(event) => {
            let (after, fault) = FoldedOrder::after(before, &event);
            (after, fault.map(|fault| fault.to_string()))
        }
        Err(row) if unreadable == OnUnreadable::GiveUp => return Err(row.error),
        Err(row) => match quarantined(before.as_ref(), row.version) {
            Some(after) => (after, Some(row.error.to_string())),
            None => return Err(row.error),
        },
    };
    if let Some(fault) = fault {
        tracing::warn!(%order_id, position = position.0, fault, "an order cannot be read; it is refused, and all others are served");
    }
    Ok(after)
}

/// The order after an event that cannot be read. Its row names an order and a version, which may be wrong, too: it is only
/// believed where that is the order's next version. `None` otherwise; then nobody knows which order lacks an event, and no
/// views can be made.
fn quarantined(before: Option<&FoldedOrder>, version: Version) -> Option<FoldedOrder> {
    let known = before.map_or(Version::NONE, FoldedOrder::version);
    let is_damaged = matches!(before, Some(FoldedOrder::Unreadable { why: Unreadable::Damaged, .. }));
    let is_believed = version == known.plus(1) || is_damaged;
    is_believed.then(|| FoldedOrder::Unreadable { version: known.max(version), why: Unreadable::Damaged })
}

/// A row does not say any more that it is of the order that it was of.
fn changed(entry: &LogEntry) -> LogError {
    let position = entry.position;
    let what = format!("event at position {position}: it is of one order now and of another a moment later");
    StoreError::Corrupt(what).into()
}
