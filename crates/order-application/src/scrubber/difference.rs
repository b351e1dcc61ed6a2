use std::collections::BTreeMap;
use std::fmt;

use order_domain::OrderId;

use super::look::Look;
use super::stretch::Placed;
use crate::event::Position;
use crate::ports::event_log::StoreError;
use crate::ports::order_views::OrderPage;
use crate::projection::Unreadable;

/// Something that differs between the views and the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// The order that it is about. `None`: that cannot be told.
    pub(super) order_id: Option<OrderId>,
    /// Where the list has a row too much.
    pub(super) too_much_at: Option<Position>,
    /// Whether the view should be made anew.
    pub(super) can_be_mended: bool,
    /// In words.
    pub(super) what: String,
}

impl Difference {
    /// What is wrong with one order's view.
    pub(super) fn of(order_id: &OrderId, what: impl fmt::Display) -> Self {
        let order_id = order_id.clone();
        let what = format!("order {order_id}: {what}");
        Self { order_id: Some(order_id), too_much_at: None, can_be_mended: true, what }
    }

    /// The store says by itself that the order's view is damaged.
    pub(super) fn damaged_view(order_id: &OrderId, why: &str) -> Self {
        Self::of(order_id, format_args!("its view is damaged: {why}"))
    }

    /// An order's view is not what its events make. That of damaged events would only say that it cannot be read.
    pub(super) fn view(order_id: &OrderId, shown: &Look, derived: &Look) -> Self {
        let can_be_mended = *derived != Look::Unreadable(Unreadable::Damaged);
        let what = format_args!("its view is {shown}, and its events make it {derived}");
        Self { can_be_mended, ..Self::of(order_id, what) }
    }

    /// The list has a row where no order was placed.
    pub(super) fn listed_too_much(order_id: &OrderId, position: Position) -> Self {
        let what = format_args!("the list has it at position {position}, where no order was placed");
        Self { too_much_at: Some(position), ..Self::of(order_id, what) }
    }

    /// The store says by itself that the list is damaged somewhere after this position.
    pub(super) fn damaged_list(after: Position, why: &str) -> Self {
        let what = format!("the list after position {after} is damaged: {why}");
        Self { order_id: None, too_much_at: None, can_be_mended: true, what }
    }

    /// An event cannot be read.
    pub(super) fn unreadable_event(position: Position, why: &StoreError) -> Self {
        let what = format!("the event at position {position} cannot be read: {why}");
        Self { order_id: None, too_much_at: None, can_be_mended: false, what }
    }
}

/// How a page of the list differs from the orders that were placed after `after` and up to `last`. The page may go on
/// beyond that.
pub(super) fn in_list(
    after: Position,
    last: Position,
    placed: &[Placed],
    page: &OrderPage,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut rows = BTreeMap::new();
    let mut previous = after;
    for listed in page.orders.iter().take_while(|listed| listed.placed_position <= last) {
        let (position, order_id) = (listed.placed_position, &listed.summary.order_id);
        if position <= previous {
            let what = format_args!(
                "the list has it, placed at position {position}, after an order that was placed later"
            );
            found.push(Difference::of(order_id, what));
        }
        previous = position;
        rows.insert(position, &listed.summary);
    }
    for Placed { position, order_id, look } in placed {
        let position = *position;
        match (look, rows.remove(&position)) {
            (Some(Look::Readable(derived)), Some(shown)) if **derived == *shown => {}
            // It keeps changing, so that only its place can be compared.
            (None, Some(shown)) if shown.order_id == *order_id => {}
            (Some(derived), Some(shown)) => {
                let what =
                    format_args!("the list has {shown:?} in its place, and its events make it {derived}");
                found.push(Difference::of(order_id, what));
            }
            (None, Some(_)) | (Some(Look::Readable(_)), None) => {
                let what = format_args!("it was placed at position {position} and is not in the list");
                found.push(Difference::of(order_id, what));
            }
            (None | Some(Look::Unreadable(_) | Look::Absent), None) => {}
        }
    }
    for (position, shown) in rows {
        found.push(Difference::listed_too_much(&shown.order_id, position));
    }
    // A damaged order may begin twice, and is listed once.
    let newer = || placed.iter().filter(|placed| placed.look == Some(Look::Unreadable(Unreadable::Newer)));
    if page.left_out < newer().count() {
        let what = "it cannot be read, and the list does not count it among those that it leaves out";
        found.extend(newer().map(|placed| Difference::of(&placed.order_id, what)));
    }
    found
}
