//! The views of orders: what readers see, derived from the log.
//!
//! Every store goes through one contract suite (`order-store/tests/stores/contract`), which proves each MUST below.

use async_trait::async_trait;
use order_domain::{OrderId, Status, Timestamp};

use super::event_log::StoreError;
use crate::event::Position;
use crate::order_list::{ListQuery, OrderPage};
use crate::projection::OrderSummary;
use crate::search_term::SearchTerm;

/// The view of each order, kept with the log that it is derived from.
///
/// An append carries the view that its events lead to, and every read that begins after the append was acknowledged MUST
/// see it.
#[async_trait]
pub trait OrderViews: Send + Sync + 'static {
    /// The view of an order; `None` for an unknown one. The store MUST be sure of that: a view that is lost or damaged is an
    /// error and never an order that there is not.
    ///
    /// # Errors
    /// [`StoreError::NewerRelease`] or [`StoreError::Corrupt`] if the order is
    /// [unreadable](crate::projection::Unreadable); [`StoreError::DamagedView`] if its view is damaged; otherwise see
    /// [`StoreError`].
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError>;

    /// A page of views: those that [`PageBuilder`](crate::order_list::PageBuilder) takes of all rows in the order of the list.
    ///
    /// Whoever follows the pages to their end MUST meet every order once that meets the filter and does not change meanwhile,
    /// however the store finds it. A page may be short or empty.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError>;

    /// Orders that do something by themselves at a time or before, the earliest first, and at one time in placement order.
    /// Orders that are unreadable do nothing.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError>;

    /// How many orders have a status, counted up to `at_most`: a figure for people, by which nothing is decided. What has changed
    /// within the last few seconds MAY be left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError>;

    /// What does not lead to an order, and should: an index of lists with filters, or of what is due, that has lost its
    /// entry. The order is known by `terms`. `None`: everything leads to it, as far as can be told at this moment. Asked by
    /// whoever compares views with the log, since such an index answers as if there were no such order. A store whose views
    /// cannot be damaged has nothing to say.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn lost_way_to(
        &self,
        order_id: &OrderId,
        terms: &[SearchTerm],
    ) -> Result<Option<String>, StoreError> {
        let _ = (order_id, terms);
        Ok(None)
    }
}

/// Which orders are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueQuery {
    /// Due at this time or before.
    pub until: Timestamp,
    /// Only orders that come after this one.
    pub after: Option<DuePlace>,
    /// Most orders of a page.
    pub limit: usize,
}

/// Where an order is among those that are due: by their times, and at one time in placement order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    /// When it is due.
    pub due_at: Timestamp,
    /// Where its first event is in the log.
    pub placed_position: Position,
}

/// An order that does something by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueOrder {
    /// When, and where it comes.
    pub place: DuePlace,
    /// The order.
    pub order_id: OrderId,
}

/// A page of orders that are due. It may be short or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The orders.
    pub orders: Vec<DueOrder>,
    /// Where the next page begins: [`DueQuery::after`]. `None` when there is none.
    pub next: Option<DuePlace>,
}
