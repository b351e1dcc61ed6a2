//! The views of orders: what readers see, derived from the log.
//!
//! Every store goes through one contract suite (`order-store/tests/stores/contract`), which proves each MUST below.

use async_trait::async_trait;
use order_domain::{OrderId, Timestamp};

use super::event_log::StoreError;
use crate::event::Position;
use crate::projection::{OrderSummary, OrderView};

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

    /// A page of views.
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
}

/// Which orders are wanted: in placement order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// Only orders that were placed after this position.
    pub after: Position,
    /// Most orders of a page, those included that are left out of it.
    pub limit: usize,
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

/// A page of views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<ListedOrder>,
    /// How many orders belong here that are [unreadable](crate::projection::Unreadable), or whose rows are damaged.
    pub left_out: usize,
    /// Where the next page begins: [`ListQuery::after`]. `None` when there is none.
    pub next: Option<Position>,
}

impl OrderPage {
    /// Makes a page of rows in their order, of which there may be one more than the page may have: that tells whether there
    /// is a next page. A row that the store could not read is `None`.
    pub fn of<V: Into<Option<OrderView>>>(
        rows: impl IntoIterator<Item = (Position, V)>,
        limit: usize,
    ) -> Self {
        let mut page = Self::default();
        let mut last = None;
        for (index, (placed_position, view)) in rows.into_iter().enumerate() {
            if index == limit {
                page.next = last;
                break;
            }
            last = Some(placed_position);
            match view.into() {
                Some(OrderView::Readable(summary)) => {
                    page.orders.push(ListedOrder { placed_position, summary });
                }
                Some(OrderView::Unreadable(_)) | None => page.left_out += 1,
            }
        }
        page
    }
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    /// Where its first event is in the log: the key of placement order.
    pub placed_position: Position,
    /// Its view.
    pub summary: OrderSummary,
}
