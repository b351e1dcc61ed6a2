use std::fmt;

use order_domain::OrderId;

use crate::event::Version;
use crate::folded_order::FoldedOrder;
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::order_views::OrderViews;
use crate::projection::{OrderSummary, Unreadable};
use crate::search_term::SearchTerm;

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
    /// What the order's events make of it, and what it is found by.
    pub(super) async fn at_events(
        log: &dyn EventLog,
        order_id: &OrderId,
    ) -> Result<(Self, Vec<SearchTerm>), StoreError> {
        let order = FoldedOrder::load(log, order_id).await;
        let terms = match &order {
            Ok(Some(FoldedOrder::Readable(order))) => SearchTerm::of_order(&order.order),
            Ok(Some(FoldedOrder::Unreadable { .. }) | None) | Err(_) => Vec::new(),
        };
        let summary =
            order.and_then(|order| order.map(|order| order.view(order_id).into_summary()).transpose());
        Ok((Self::of(summary)?, terms))
    }

    /// What readers are shown.
    pub(super) async fn at_view(views: &dyn OrderViews, order_id: &OrderId) -> Result<Self, StoreError> {
        Self::of(views.one(order_id).await)
    }

    fn of(answer: Result<Option<OrderSummary>, StoreError>) -> Result<Self, StoreError> {
        match answer {
            Ok(Some(summary)) => Ok(Self::Readable(Box::new(summary))),
            Ok(None) => Ok(Self::Absent),
            Err(StoreError::Corrupt(_)) => Ok(Self::Unreadable(Unreadable::Damaged)),
            Err(StoreError::NewerRelease(_)) => Ok(Self::Unreadable(Unreadable::Newer)),
            Err(
                error @ (StoreError::Overloaded
                | StoreError::Unavailable(_)
                | StoreError::DamagedView(_)
                | StoreError::OutcomeUnknown(_)
                | StoreError::StorageFull),
            ) => Err(error),
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
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readable(summary) => summary.fmt(f),
            Self::Unreadable(why) => why.fmt(f),
            Self::Absent => f.write_str("missing"),
        }
    }
}
