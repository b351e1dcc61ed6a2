//! The second pass: a part of the orders, folded from their events, and each held against its view.

use std::collections::HashMap;

use order_application::{FoldedOrder, OrderView, Position, RecordedEvent, SearchTerm, Unreadable, Version};
use order_domain::OrderId;

use super::{Findings, LogRow};
use crate::projection;

/// Orders, folded.
#[derive(Debug)]
pub(crate) struct CheckedOrders {
    pub(crate) by_id: HashMap<OrderId, CheckedOrder>,
    /// Up to where events are in the views for certain.
    viewed_to: Position,
}

/// An order that its events make.
#[derive(Debug)]
pub(crate) struct CheckedOrder {
    /// Where its first event is.
    pub(crate) placed_position: Position,
    /// Where the others are.
    pub(crate) later_positions: Vec<Position>,
    /// What it was before each event that its view may not have yet.
    earlier_views: Vec<OrderView>,
    /// `None`: one of its rows could not be read, so nobody knows what it has to be.
    order: Option<FoldedOrder>,
}

/// What a store keeps of an order beside its events.
#[derive(Debug)]
pub(crate) struct DerivedOrder {
    /// Where its first event is.
    pub(crate) placed_position: Position,
    /// Where its last one is.
    pub(crate) updated_position: Position,
    pub(crate) view: OrderView,
    pub(crate) terms: Vec<SearchTerm>,
}

impl CheckedOrders {
    /// Of a store whose views have come up to a position.
    pub(crate) fn viewed_to(viewed_to: Position) -> Self {
        Self { by_id: HashMap::new(), viewed_to }
    }

    /// Takes the next row of one of the orders. What the database cannot read at all is nobody's here: the first pass has
    /// told of it, and its order lacks an event.
    pub(crate) fn add(&mut self, row: LogRow, findings: &mut Findings<'_>) {
        findings.count_row();
        match row {
            LogRow::Event { event, order_key } => self.add_event(&event, order_key, findings),
            LogRow::Damaged { position, order_id: Some(order_id), .. } => {
                let order = || CheckedOrder::unknown(position.unwrap_or_default());
                self.by_id.entry(order_id).or_insert_with(order).order = None;
            }
            LogRow::Damaged { order_id: None, .. } | LogRow::Unreadable { .. } => {}
        }
    }

    /// What stores have to keep of the orders.
    pub(crate) fn derived(&self) -> impl Iterator<Item = DerivedOrder> {
        self.by_id.iter().filter_map(|(order_id, order)| {
            Some(DerivedOrder {
                placed_position: order.placed_position,
                updated_position: order.updated_position()?,
                view: order.order.as_ref()?.view(order_id),
                terms: order.terms().unwrap_or_default(),
            })
        })
    }

    fn add_event(&mut self, event: &RecordedEvent, order_key: Option<Position>, findings: &mut Findings<'_>) {
        let placed = match self.by_id.get_mut(&event.order_id) {
            Some(order) => {
                order.add(event, self.viewed_to, findings);
                order.placed_position
            }
            None => {
                let order = fold(None, event, findings);
                let order = CheckedOrder { order: Some(order), ..CheckedOrder::unknown(event.position) };
                self.by_id.insert(event.order_id.clone(), order);
                event.position
            }
        };
        if let Some(key) = order_key.filter(|key| *key != placed) {
            findings.fault(format!(
                "order {}, event at position {}: its key is {key}, and the order begins at position {placed}",
                event.order_id, event.position
            ));
        }
    }
}

impl CheckedOrder {
    fn unknown(placed_position: Position) -> Self {
        Self { placed_position, later_positions: Vec::new(), earlier_views: Vec::new(), order: None }
    }

    fn add(&mut self, event: &RecordedEvent, viewed_to: Position, findings: &mut Findings<'_>) {
        self.later_positions.push(event.position);
        if let Some(before) = self.order.take() {
            if event.position > viewed_to {
                self.earlier_views.push(before.view(&event.order_id));
            }
            self.order = Some(fold(Some(before), event, findings));
        }
    }

    /// How many events it has, if all its rows could be read and follow on each other.
    pub(crate) fn version(&self) -> Option<Version> {
        match self.order.as_ref()? {
            FoldedOrder::Readable(order) => Some(order.version),
            FoldedOrder::Unreadable { why: Unreadable::Damaged, .. } => None,
            FoldedOrder::Unreadable { version, .. } => Some(*version),
        }
    }

    /// Whether its events can be read and folded.
    pub(crate) fn is_readable(&self) -> bool {
        matches!(self.order, Some(FoldedOrder::Readable(_)))
    }

    /// What it is found by, if it stands at this version; nothing of a view that the order has left behind.
    pub(crate) fn terms_at(&self, version: Version) -> Vec<SearchTerm> {
        match &self.order {
            Some(FoldedOrder::Readable(order)) if order.version == version => {
                SearchTerm::of_order(&order.order)
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Where its last event is, if all its rows could be read.
    pub(crate) fn updated_position(&self) -> Option<Position> {
        self.order.as_ref().map(|_| self.later_positions.last().copied().unwrap_or(self.placed_position))
    }

    /// What it is found by, if it can be read.
    pub(crate) fn terms(&self) -> Option<Vec<SearchTerm>> {
        match self.order.as_ref()? {
            FoldedOrder::Readable(order) => Some(SearchTerm::of_order(&order.order)),
            FoldedOrder::Unreadable { .. } => None,
        }
    }

    /// What is wrong with it, if anything is: with its ledgers, with its view's key, or with what a projection made. What a newer
    /// release made of an order's events is not for this one to judge, as long as it is of them all.
    pub(crate) fn fault_of(&self, key: Position, view: &OrderView, made_by: u32) -> Option<String> {
        let order = self.order.as_ref()?;
        if let FoldedOrder::Readable(order) = order
            && let Some(what) = order.order.imbalance()
        {
            return Some(format!("its ledgers do not add up: {what}"));
        }
        let fold = order.view(view.order_id());
        if key != self.placed_position {
            let begins = self.placed_position;
            return Some(format!("its view has the key {key}, and it begins at position {begins}"));
        }
        let is_for_a_newer_release = made_by > projection() && view.version() == fold.version();
        if is_for_a_newer_release || *view == fold || self.earlier_views.contains(view) {
            return None;
        }
        let difference = format!("its view is {view}, and its events make it {fold}");
        Some(if made_by < projection() {
            format!("an earlier release made its view, `order-service rebuild` makes it right: {difference}")
        } else {
            difference
        })
    }
}

fn fold(before: Option<FoldedOrder>, event: &RecordedEvent, findings: &mut Findings<'_>) -> FoldedOrder {
    let (order, unreadable) = FoldedOrder::after(before, event);
    if let Some(error) = unreadable {
        findings.fault(format!("order {}, event at position {}: {error}", event.order_id, event.position));
    }
    order
}
