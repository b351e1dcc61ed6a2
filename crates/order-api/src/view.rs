//! How orders look to readers. Written by hand: the basic view is the hot path of every shop page, and the key order is
//! part of the contract.

mod full;

use std::borrow::Cow;
use std::fmt::Write;

use order_application::OrderSummary;

pub(crate) use full::write_full;

use crate::json::push_string;

/// How much of an order is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// Writes the five fields of the basic view.
pub(crate) fn write_basic(out: &mut String, order: &OrderSummary) {
    out.push('{');
    write_basic_members(out, order);
    out.push('}');
}

fn write_basic_members(out: &mut String, order: &OrderSummary) {
    out.push_str("\"OrderID\":");
    push_string(out, order.order_id.as_str());
    out.push_str(",\"CustomerID\":");
    push_string(out, order.customer_id.as_str());
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r#","Status":"{}","TotalCents":{},"LastUpdated":{}"#,
        order.status.as_str(),
        order.total,
        order.updated_at.as_seconds()
    );
}
