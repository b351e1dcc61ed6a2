//! The order view, as a pure fold of an order's events.
//!
//! Two shapes come of one fold: [`VersionedOrder`], the whole order at a version, which the service caches and full
//! views are rendered from; and [`OrderView`], the row that stores keep for every order, which is an [`OrderSummary`]
//! unless the order cannot be read.

use std::fmt;

use order_domain::{Cents, CustomerId, Order, OrderEvent, OrderId, Status, Timestamp, evolve};

use crate::codec::EVENT_TYPES;
use crate::event::Version;
use crate::rfc3339;
use crate::store_error::StoreError;

/// Numbers what this module and the codec make of an order's events. Stores keep it with their rows, and a release
/// rebuilds what an earlier number made.
///
/// An event type that is new raises it by itself, since orders that have such events could not be folded before. Raise
/// `RULES` with every other change of a row's content: another word for a status, another sum, a field that is now
/// understood. The golden file `goldens/projection.v<number>.txt` notices what was forgotten.
pub const PROJECTION_VERSION: u32 = RULES + (EVENT_TYPES.len() - FIRST_EVENT_TYPES) as u32;

const RULES: u32 = 2;
/// How many event types there were when `RULES` began.
const FIRST_EVENT_TYPES: usize = 4;

/// An order and how far its stream has come.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedOrder {
    /// The fold of its events.
    pub order: Order,
    /// How many events that were.
    pub version: Version,
    /// The time of the first.
    pub placed_at: Timestamp,
    /// The time of the last.
    pub updated_at: Timestamp,
}

/// Applies the next event of a stream. `None` in, and an event that is not `OrderPlaced`, gives `None`: such a stream
/// has no beginning.
pub fn apply(order: Option<VersionedOrder>, event: &OrderEvent, time: Timestamp) -> Option<VersionedOrder> {
    let (version, placed_at, order) = match order {
        Some(VersionedOrder { order, version, placed_at, .. }) => (version, placed_at, Some(order)),
        None => (Version::NONE, time, None),
    };
    let order = evolve(order, event)?;
    Some(VersionedOrder { order, version: version.plus(1), placed_at, updated_at: time })
}

/// What a list shows of an order, and what finds it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSummary {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// One word for its ledgers.
    pub status: Status,
    /// Lines and adjustments together.
    pub total: Cents,
    /// How many events it has.
    pub version: Version,
    /// The time of its first event.
    pub placed_at: Timestamp,
    /// The time of its latest event.
    pub updated_at: Timestamp,
    /// When the order does something by itself; `None`: never.
    pub due_at: Option<Timestamp>,
    /// Whether it waits for somebody to let it go on.
    pub on_hold: bool,
}

/// What a store keeps of an order for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderView {
    /// The fold of its events.
    Readable(OrderSummary),
    /// Its events cannot be folded.
    Unreadable(UnreadableOrder),
}

/// An order that cannot be shown. Commands to it and reads of it are refused, and all other orders are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableOrder {
    /// The order.
    pub order_id: OrderId,
    /// The highest version that its events have.
    pub version: Version,
    /// What is the matter with it.
    pub why: Unreadable,
}

/// Why an order cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// It has an event of a type, or with a field, that this release does not know. A later one will.
    Newer,
    /// Its events are not what was written: one cannot be read, or they do not follow on each other.
    Damaged,
}

impl OrderView {
    /// The order.
    pub fn order_id(&self) -> &OrderId {
        match self {
            Self::Readable(summary) => &summary.order_id,
            Self::Unreadable(order) => &order.order_id,
        }
    }

    /// How many events it has.
    pub fn version(&self) -> Version {
        match self {
            Self::Readable(summary) => summary.version,
            Self::Unreadable(order) => order.version,
        }
    }

    /// Whether its events cannot be folded.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }

    /// Whether its events do not follow on each other. Then versions tell nothing.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Unreadable(UnreadableOrder { why: Unreadable::Damaged, .. }))
    }

    /// What readers are answered.
    ///
    /// # Errors
    /// [`StoreError::NewerRelease`] or [`StoreError::Corrupt`] if the order cannot be shown.
    pub fn into_summary(self) -> Result<OrderSummary, StoreError> {
        match self {
            Self::Readable(summary) => Ok(summary),
            Self::Unreadable(order) => Err(order.why.error(&order.order_id)),
        }
    }
}

/// As it is told to people where it is not what it should be.
impl fmt::Display for OrderView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readable(summary) => summary.fmt(f),
            Self::Unreadable(order) => {
                write!(f, "version {} of {}: {}", order.version, order.order_id, order.why)
            }
        }
    }
}

/// All of it, since any of it may be what is wrong.
impl fmt::Display for OrderSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order_id, customer_id, status, total, version, placed_at, updated_at, due_at, on_hold } =
            self;
        let (status, placed_at, updated_at) =
            (status.as_str(), rfc3339::format(*placed_at), rfc3339::format(*updated_at));
        write!(f, "version {version} of {order_id}: {status}, {total} cents, of customer {customer_id}")?;
        write!(f, ", placed {placed_at}, changed {updated_at}")?;
        if let Some(due_at) = due_at {
            write!(f, ", due {}", rfc3339::format(*due_at))?;
        }
        f.write_str(if *on_hold { ", on hold" } else { "" })
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Newer => "of a newer release",
            Self::Damaged => "damaged",
        })
    }
}

impl Unreadable {
    /// What is said to whoever asks for the order.
    pub fn error(self, order_id: &OrderId) -> StoreError {
        match self {
            Self::Newer => {
                StoreError::NewerRelease(format!("order {order_id} has events of a newer release"))
            }
            Self::Damaged => StoreError::Corrupt(format!("the history of order {order_id} is damaged")),
        }
    }
}

impl VersionedOrder {
    /// About what the order takes in memory: lists by their entries, and for each text its allocation.
    pub fn heap_bytes(&self) -> usize {
        let order = &self.order;
        let in_reservations = order.reservations().iter().map(|reservation| reservation.held.len());
        let in_shipments = order
            .shipments()
            .iter()
            .map(|shipment| 2 * shipment.reservations.len() + shipment.units().count());
        let in_returns = order.returns().iter().map(|known| 2 * known.units.len());
        let units: usize = in_reservations.chain(in_shipments).chain(in_returns).sum();
        let in_captures = order.captures().iter().map(|capture| capture.shares.len());
        let in_refunds = order.refunds().iter().map(|refund| refund.shares.len());
        let shares: usize = in_captures.chain(in_refunds).sum();
        let entries = order.payments().len()
            + order.declined_payments().len()
            + order.voids().len()
            + order.captures().len()
            + order.refunds().len()
            + order.reservations().len()
            + order.shipments().len()
            + order.cancellations().len()
            + order.returns().len();
        let metadata: usize = order.metadata().iter().map(|(key, value)| key.len() + value.len() + 64).sum();
        1024 + 128 * order.lines().len()
            + 120 * order.adjustments().len()
            + 192 * entries
            + 24 * shares
            + 8 * units
            + metadata
    }

    /// The row that a list shows of this order.
    pub fn summary(&self, order_id: &OrderId) -> OrderSummary {
        OrderSummary {
            order_id: order_id.clone(),
            customer_id: self.order.customer_id().clone(),
            status: self.order.status(),
            total: self.order.total(),
            version: self.version,
            placed_at: self.placed_at,
            updated_at: self.updated_at,
            due_at: self.order.next_due(),
            on_hold: self.order.on_hold(),
        }
    }
}

#[cfg(test)]
mod tests;
