//! The fold of an order's events that goes on where an order cannot be read.
//!
//! Whoever derives views folds every order of the log. One that this release cannot fold has a view all the same, which
//! says so: it must not keep the others from being served.

use order_domain::OrderId;

use crate::codec::{self, CodecError};
use crate::event::{RecordedEvent, Version};
use crate::ports::event_log::{EventLog, StoreError};
use crate::projection::{OrderView, Unreadable, UnreadableOrder, VersionedOrder};
use crate::stream;

/// An order, as far as its events can be read.
#[derive(Debug, Clone, PartialEq)]
pub enum FoldedOrder {
    /// All of them can.
    Readable(Box<VersionedOrder>),
    /// One of them cannot, or is not where it should be.
    Unreadable {
        /// The highest version that there is.
        version: Version,
        /// What is the matter with it.
        why: Unreadable,
    },
}

impl FoldedOrder {
    /// The order after its next event. With the event that makes it unreadable comes what is wrong with that one; what
    /// follows on it says nothing new.
    pub fn after(before: Option<Self>, event: &RecordedEvent) -> (Self, Option<CodecError>) {
        let before = match before {
            Some(Self::Unreadable { version, why }) => {
                // The versions of an order that is merely too new still follow on each other.
                let continues = event.version == version.plus(1);
                let why = if continues { why } else { Unreadable::Damaged };
                return (Self::Unreadable { version: version.max(event.version), why }, None);
            }
            Some(Self::Readable(order)) => Some(*order),
            None => None,
        };
        let version = before.as_ref().map_or(event.version, |order| order.version.max(event.version));
        match codec::replay(before, event) {
            Ok(order) => (Self::Readable(Box::new(order)), None),
            Err(error) => {
                let why = match error {
                    CodecError::NewerEvent(_) => Unreadable::Newer,
                    CodecError::Invalid(_) => Unreadable::Damaged,
                };
                (Self::Unreadable { version, why }, Some(error))
            }
        }
    }

    /// Folds what the log has of an order.
    pub(crate) async fn load(log: &dyn EventLog, order_id: &OrderId) -> Result<Option<Self>, StoreError> {
        let mut order: Option<Self> = None;
        stream::read_to_end(log, order_id, Version::NONE, |event| {
            order = Some(Self::after(order.take(), event).0);
            Ok(())
        })
        .await?;
        Ok(order)
    }

    /// How many events it has.
    pub fn version(&self) -> Version {
        match self {
            Self::Readable(order) => order.version,
            Self::Unreadable { version, .. } => *version,
        }
    }

    /// About what it takes in memory, in bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Readable(order) => order.heap_bytes(),
            Self::Unreadable { .. } => size_of::<Self>(),
        }
    }

    /// What a store keeps of it.
    pub fn view(&self, order_id: &OrderId) -> OrderView {
        match self {
            Self::Readable(order) => OrderView::Readable(order.summary(order_id)),
            Self::Unreadable { version, why } => OrderView::Unreadable(UnreadableOrder {
                order_id: order_id.clone(),
                version: *version,
                why: *why,
            }),
        }
    }
}

impl From<VersionedOrder> for FoldedOrder {
    fn from(order: VersionedOrder) -> Self {
        Self::Readable(Box::new(order))
    }
}
