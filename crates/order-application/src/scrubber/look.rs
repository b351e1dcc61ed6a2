use std::fmt;

use order_domain::OrderId;

use crate::event::Version;
use crate::folded_order::FoldedOrder;
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::order_views::OrderViews;
use crate::projection::{OrderSummary, OrderView, Unreadable};

/// How an order looks, from either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// So.
    Readable(Box<OrderSummary>),
    /// It cannot be read.
    Unreadable(Unreadable),
    /// There is no such order.
    Absent,
}

impl Look {
    /// What the order's events make of it.
    pub(super) async fn at_events(log: &dyn EventLog, order_id: &OrderId) -> Result<Self, StoreError> {
        match FoldedOrder::load(log, order_id).await {
            Ok(order) => Ok(match order.map(|order| order.view(order_id)) {
                Some(OrderView::Readable(summary)) => Self::Readable(Box::new(summary)),
                Some(OrderView::Unreadable(order)) => Self::Unreadable(order.why),
                None => Self::Absent,
            }),
            Err(error) => unreadable(error),
        }
    }

    /// Whether it is of fewer events than the log has.
    pub(super) fn is_behind(&self, version: Version) -> bool {
        match self {
            Self::Readable(summary) => summary.version < version,
            Self::Absent => true,
            Self::Unreadable(_) => false,
        }
    }

    /// What readers are shown.
    pub(super) async fn at_view(views: &dyn OrderViews, order_id: &OrderId) -> Result<Self, StoreError> {
        match views.one(order_id).await {
            Ok(Some(summary)) => Ok(Self::Readable(Box::new(summary))),
            Ok(None) => Ok(Self::Absent),
            Err(error) => unreadable(error),
        }
    }
}

fn unreadable(error: StoreError) -> Result<Look, StoreError> {
    match error {
        StoreError::Corrupt(_) => Ok(Look::Unreadable(Unreadable::Damaged)),
        StoreError::NewerRelease(_) => Ok(Look::Unreadable(Unreadable::Newer)),
        error @ (StoreError::Overloaded
        | StoreError::Unavailable(_)
        | StoreError::DamagedView(_)
        | StoreError::OutcomeUnknown(_)
        | StoreError::StorageFull) => Err(error),
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readable(summary) => write!(f, "{summary:?}"),
            Self::Unreadable(Unreadable::Newer) => f.write_str("of a newer release"),
            Self::Unreadable(Unreadable::Damaged) => f.write_str("damaged"),
            Self::Absent => f.write_str("missing"),
        }
    }
}
