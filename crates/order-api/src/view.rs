//! How orders look to readers. The key order is part of the contract.

mod full;

use std::borrow::Cow;

use order_application::{OrderSummary, VersionedOrder};
use order_domain::OrderId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::OrderStatus;
pub(crate) use full::FullView;

/// How much of an order is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum View {
    /// Five fields.
    #[default]
    Basic,
    /// Everything.
    Full,
}

impl View {
    /// Reads the query parameter `view`.
    pub(crate) fn read(text: &str) -> Result<Self, Cow<'static, str>> {
        match text {
            "basic" => Ok(Self::Basic),
            "full" => Ok(Self::Full),
            _ => Err("must be basic or full".into()),
        }
    }
}

/// An order, as lists show it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Order, example = json!({
    "OrderID": "ord-001",
    "CustomerID": "cust-123",
    "Status": "shipped",
    "TotalCents": 3000,
    "LastUpdated": 1764917328
}))]
pub(crate) struct BasicView<'a> {
    /// The order's id.
    #[serde(rename = "OrderID")]
    order_id: &'a str,
    /// Who ordered.
    #[serde(rename = "CustomerID")]
    customer_id: &'a str,
    #[schema(value_type = OrderStatus)]
    status: &'static str,
    /// Lines and adjustments together, in minor units.
    total_cents: i64,
    /// The time of the latest event, in whole Unix seconds.
    last_updated: i64,
}

impl<'a> From<&'a OrderSummary> for BasicView<'a> {
    fn from(order: &'a OrderSummary) -> Self {
        Self {
            order_id: order.order_id.as_str(),
            customer_id: order.customer_id.as_str(),
            status: order.status.as_str(),
            total_cents: order.total.get(),
            last_updated: order.updated_at.as_seconds(),
        }
    }
}

/// Writes the basic view.
pub(crate) fn write_basic(out: &mut Vec<u8>, order: &OrderSummary) {
    write(out, &BasicView::from(order));
}

/// Writes the basic view's fields and everything else there is.
pub(crate) fn write_full(out: &mut Vec<u8>, order_id: &OrderId, order: &VersionedOrder) {
    let summary = order.summary(order_id);
    write(out, &FullView::of(&summary, order));
}

fn write(out: &mut Vec<u8>, view: &impl Serialize) {
    if let Err(e) = serde_json::to_writer(out, view) {
        unreachable!("invariant: a view is made of texts, numbers and lists, and memory takes them: {e}");
    }
}
