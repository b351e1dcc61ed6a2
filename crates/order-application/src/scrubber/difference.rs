use std::collections::BTreeMap;
use std::fmt;

use order_domain::OrderId;

use super::look::Look;
use super::stretch::Placed;
use crate::event::{Position, Version};
use crate::ports::event_log::StoreError;
use crate::ports::order_views::OrderPage;
use crate::projection::{OrderSummary, Unreadable};

/// Something that differs between the views and the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// The order that it is about. `None`: that cannot be told.
    pub(super) order_id: Option<OrderId>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// An event cannot be read.
    Log { position: Position, why: StoreError },
    /// The store says by itself that the order's view is damaged.
    DamagedView { why: String },
    /// The store says by itself that the list is damaged somewhere after this position.
    DamagedList { after: Position, why: String },
    /// An order's view is at an earlier version than the log.
    Behind { shown: Look, version: Version },
    /// An order's view is not what its events make.
    View { shown: Look, derived: Look },
    /// The list shows another row at the order's place.
    ListedRow { shown: Box<OrderSummary>, derived: Look },
    /// The list has no row at the order's place.
    NotListed { position: Position },
    /// The list has a row where no order was placed.
    ListedTooMuch { position: Position },
    /// The list has the row after one with a higher position.
    ListedOutOfOrder { position: Position },
    /// The list does not count the order among those that it leaves out.
    NotLeftOut,
}

impl Difference {
    pub(super) fn of(order_id: &OrderId, kind: Kind) -> Self {
        Self { order_id: Some(order_id.clone()), kind }
    }

    /// An event that cannot be read.
    pub(super) fn log(position: Position, why: StoreError) -> Self {
        Self { order_id: None, kind: Kind::Log { position, why } }
    }

    /// Where the list has a row too much.
    pub(super) fn too_much_at(&self) -> Option<Position> {
        match self.kind {
            Kind::ListedTooMuch { position } => Some(position),
            Kind::Log { .. }
            | Kind::DamagedView { .. }
            | Kind::DamagedList { .. }
            | Kind::Behind { .. }
            | Kind::View { .. }
            | Kind::ListedRow { .. }
            | Kind::NotListed { .. }
            | Kind::ListedOutOfOrder { .. }
            | Kind::NotLeftOut => None,
        }
    }

    /// A list that is damaged.
    pub(super) fn list(after: Position, why: String) -> Self {
        Self { order_id: None, kind: Kind::DamagedList { after, why } }
    }

    /// Whether the view should be made anew. One of damaged events would only say that it cannot be read.
    pub(super) fn can_be_mended(&self) -> bool {
        match &self.kind {
            Kind::Log { .. } => false,
            Kind::View { derived, .. } => *derived != Look::Unreadable(Unreadable::Damaged),
            Kind::DamagedView { .. }
            | Kind::DamagedList { .. }
            | Kind::Behind { .. }
            | Kind::ListedRow { .. }
            | Kind::NotListed { .. }
            | Kind::ListedTooMuch { .. }
            | Kind::ListedOutOfOrder { .. }
            | Kind::NotLeftOut => true,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(order_id) = &self.order_id {
            write!(f, "order {order_id}: ")?;
        }
        match &self.kind {
            Kind::Log { position, why } => {
                write!(f, "the event at position {position} cannot be read: {why}")
            }
            Kind::DamagedView { why } => write!(f, "its view is damaged: {why}"),
            Kind::DamagedList { after, why } => {
                write!(f, "the list after position {after} is damaged: {why}")
            }
            Kind::Behind { shown, version } => {
                write!(f, "its view is {shown}, and the log has its version {version}")
            }
            Kind::View { shown, derived } => {
                write!(f, "its view is {shown}, and its events make it {derived}")
            }
            Kind::ListedRow { shown, derived } => {
                write!(f, "the list has {shown:?} in its place, and its events make it {derived}")
            }
            Kind::NotListed { position } => {
                write!(f, "it was placed at position {position} and is not in the list")
            }
            Kind::ListedTooMuch { position } => {
                write!(f, "the list has it at position {position}, where no order was placed")
            }
            Kind::ListedOutOfOrder { position } => {
                write!(
                    f,
                    "the list has it, placed at position {position}, after an order that was placed later"
                )
            }
            Kind::NotLeftOut => f.write_str(
                "it cannot be read, and the list does not count it among those that it leaves out",
            ),
        }
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
            found.push(Difference::of(order_id, Kind::ListedOutOfOrder { position }));
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
                let (shown, derived) = (Box::new(shown.clone()), derived.clone());
                found.push(Difference::of(order_id, Kind::ListedRow { shown, derived }));
            }
            (None, Some(_)) | (Some(Look::Readable(_)), None) => {
                found.push(Difference::of(order_id, Kind::NotListed { position }));
            }
            (None | Some(Look::Unreadable(_) | Look::Absent), None) => {}
        }
    }
    for (position, shown) in rows {
        found.push(Difference::of(&shown.order_id, Kind::ListedTooMuch { position }));
    }
    // A damaged order may begin twice, and is listed once.
    let newer = || placed.iter().filter(|placed| placed.look == Some(Look::Unreadable(Unreadable::Newer)));
    if page.left_out < newer().count() {
        found.extend(newer().map(|placed| Difference::of(&placed.order_id, Kind::NotLeftOut)));
    }
    found
}
