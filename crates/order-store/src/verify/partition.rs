//! The second pass: the orders of a partition, folded from their events.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use order_application::{OrderSummary, Position, RecordedEvent, VersionedOrder, codec};
use order_domain::OrderId;

use super::VerifyReport;

/// Orders, as far as they could be folded.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    orders: HashMap<OrderId, Option<FoldedOrder>>,
}

/// An order that its events make.
#[derive(Debug)]
pub(crate) struct FoldedOrder {
    /// Where its first event is.
    pub(crate) placed_position: Position,
    order: Box<VersionedOrder>,
}

impl FoldedOrder {
    /// What its view has to be.
    pub(crate) fn summary(&self, order_id: &OrderId) -> OrderSummary {
        self.order.summary(order_id)
    }
}

impl Partition {
    /// Takes the next event of one of the orders. Answers where the order begins, unless it is broken.
    pub(crate) fn add(&mut self, event: &RecordedEvent, report: &mut VerifyReport) -> Option<Position> {
        let entry = match self.orders.entry(event.order_id.clone()) {
            Entry::Vacant(entry) => entry.insert(fold(None, event, report)),
            Entry::Occupied(entry) => {
                let folded = entry.into_mut();
                // What follows on a fault is no news.
                *folded = folded.take().and_then(|before| fold(Some(before), event, report));
                folded
            }
        };
        entry.as_ref().map(|folded| folded.placed_position)
    }

    /// An event of an order cannot be read, which the first pass told.
    pub(crate) fn add_unreadable(&mut self, order_id: &str) {
        if let Ok(order_id) = OrderId::new(order_id) {
            self.orders.insert(order_id, None);
        }
    }

    /// How many orders it has.
    pub(crate) fn len(&self) -> u64 {
        self.orders.len() as u64
    }

    /// Takes an order out: `None` if the log does not have it, and in it `None` if it is broken.
    pub(crate) fn remove(&mut self, order_id: &OrderId) -> Option<Option<FoldedOrder>> {
        self.orders.remove(order_id)
    }

    /// The orders that are not broken.
    pub(crate) fn orders(&self) -> impl Iterator<Item = (&OrderId, &FoldedOrder)> {
        self.orders.iter().filter_map(|(order_id, folded)| Some((order_id, folded.as_ref()?)))
    }
}

fn fold(
    before: Option<FoldedOrder>,
    event: &RecordedEvent,
    report: &mut VerifyReport,
) -> Option<FoldedOrder> {
    let (placed_position, before) = match before {
        Some(FoldedOrder { placed_position, order }) => (placed_position, Some(*order)),
        None => (event.position, None),
    };
    match codec::replay(before, event) {
        Ok(order) => Some(FoldedOrder { placed_position, order: Box::new(order) }),
        Err(error) => {
            report.fault(format!("order {}, event at position {}: {error}", event.order_id, event.position));
            None
        }
    }
}

/// How a view differs from the fold of its order, if it does.
pub(crate) fn difference(view: &OrderSummary, fold: &OrderSummary) -> Option<String> {
    (view != fold).then(|| format!("its view is {view:?}, and its events make it {fold:?}"))
}
