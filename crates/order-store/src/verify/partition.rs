//! The second pass: the orders of a partition, folded from their events.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use order_application::{FoldedOrder, OrderView, Position, RecordedEvent, Version};
use order_domain::OrderId;

use super::VerifyReport;

/// The orders of a partition, folded.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    orders: HashMap<OrderId, CheckedOrder>,
    /// Up to where events are in the views, where these come behind the log.
    viewed_to: Position,
}

/// An order that its events make.
#[derive(Debug)]
pub(crate) struct CheckedOrder {
    /// Where its first event is.
    pub(crate) placed_position: Position,
    /// The version that its view has at least.
    pub(crate) viewed_version: Version,
    /// `None`: one of its rows could not be read, so nobody knows what it has to be.
    order: Option<FoldedOrder>,
}

impl CheckedOrder {
    /// What its view has to be, if that is known.
    pub(crate) fn view(&self, order_id: &OrderId) -> Option<OrderView> {
        self.order.as_ref().map(|order| order.view(order_id))
    }

    /// Whether its events can be read and folded.
    pub(crate) fn is_readable(&self) -> bool {
        matches!(self.order, Some(FoldedOrder::Readable(_)))
    }
}

impl Partition {
    /// Of a store whose views have come up to a position.
    pub(crate) fn viewed_to(position: Position) -> Self {
        Self { viewed_to: position, ..Self::default() }
    }

    /// Takes the next event of one of the orders, and answers with where the order begins.
    pub(crate) fn add(&mut self, event: &RecordedEvent, report: &mut VerifyReport) -> Position {
        let is_viewed = event.position <= self.viewed_to;
        let checked = match self.orders.entry(event.order_id.clone()) {
            Entry::Vacant(entry) => {
                let order = Some(fold(None, event, report));
                let viewed_version = Version::NONE;
                entry.insert(CheckedOrder { placed_position: event.position, viewed_version, order })
            }
            Entry::Occupied(entry) => {
                let checked = entry.into_mut();
                checked.order = checked.order.take().map(|before| fold(Some(before), event, report));
                checked
            }
        };
        if is_viewed {
            checked.viewed_version = event.version;
        }
        checked.placed_position
    }

    /// An event at a position, as it seems of this order, cannot be read, which the first pass told.
    pub(crate) fn add_unreadable(&mut self, order_id: &str, position: Position) {
        if let Ok(order_id) = OrderId::new(order_id) {
            let unread =
                CheckedOrder { placed_position: position, viewed_version: Version::NONE, order: None };
            self.orders.entry(order_id).or_insert(unread).order = None;
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.orders.len() as u64
    }

    /// Takes an order out, if the log has it.
    pub(crate) fn remove(&mut self, order_id: &OrderId) -> Option<CheckedOrder> {
        self.orders.remove(order_id)
    }

    pub(crate) fn orders(&self) -> impl Iterator<Item = (&OrderId, &CheckedOrder)> {
        self.orders.iter()
    }
}

fn fold(before: Option<FoldedOrder>, event: &RecordedEvent, report: &mut VerifyReport) -> FoldedOrder {
    let (order, unreadable) = FoldedOrder::after(before, event);
    if let Some(error) = unreadable {
        report.fault(format!("order {}, event at position {}: {error}", event.order_id, event.position));
    }
    order
}

/// How a view differs from the fold of its order, if it does.
pub(crate) fn difference(view: &OrderView, fold: &OrderView) -> Option<String> {
    (view != fold).then(|| format!("its view is {view:?}, and its events make it {fold:?}"))
}
