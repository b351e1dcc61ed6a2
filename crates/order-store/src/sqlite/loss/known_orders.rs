//! Some of the orders that views have, held against the log: what it has lost may be in its middle.

use order_application::Position;
use order_domain::OrderId;
use rusqlite::Connection;

use crate::sqlite::log::{accepted_losses, entries};
use crate::sqlite::loss::comparison::spread_positions;
use crate::sqlite::views::reading;

/// An order, and where its first event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownOrder {
    pub(super) order_id: OrderId,
    pub(super) position: Position,
}

/// Some orders of views whose last order was placed at a position: spread over all, and more of the last. A row that cannot be
/// read tells nothing.
pub(super) fn some(views: &Connection, last: Position) -> Vec<KnownOrder> {
    // Without checksums there is no telling damage from a loss.
    #[cfg(feature = "planted-faults")]
    if ["unchecked-views", "unchecked-events"].into_iter().any(crate::sqlite::planted_faults::is_planted) {
        return Vec::new();
    }
    let mut known: Vec<KnownOrder> = Vec::new();
    for from in spread_positions(last) {
        if let Ok(Some((key, view))) = reading::first_from(views, from) {
            let order = KnownOrder { order_id: view.order_id().clone(), position: Position(key) };
            if !known.contains(&order) {
                known.push(order);
            }
        }
    }
    known
}

impl KnownOrder {
    /// Whether the log has nothing where the order begins, which nobody has accepted, or what is another's. A row that is damaged
    /// proves nothing.
    pub(super) fn is_lost(&self, log: &Connection) -> bool {
        match entries::event_at(log, self.position, &mut Vec::new()) {
            Ok(Some(event)) => event.order_id != self.order_id,
            Ok(None) => !accepted_losses::is_accepted(log, self.position).unwrap_or_default(),
            Err(_) => false,
        }
    }
}
