//! The views of orders: what readers see, derived from the log.
//!
//! Every store goes through one contract suite (`order-store/tests/stores/contract`), which proves each MUST below.

use async_trait::async_trait;
use order_domain::OrderId;

use super::event_log::StoreError;
use crate::event::Position;
use crate::projection::OrderSummary;

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
    /// See [`StoreError`].
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError>;

    /// A page of views.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError>;
}

/// Which orders are wanted: in placement order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// Only orders that were placed after this position.
    pub after: Position,
    /// Most orders of a page.
    pub limit: usize,
}

/// A page of views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<ListedOrder>,
    /// Where the next page begins: [`ListQuery::after`]. `None` when there is none.
    pub next: Option<Position>,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    /// Where its first event is in the log: the key of placement order.
    pub placed_position: Position,
    /// Its view.
    pub summary: OrderSummary,
}
