//! A page of the log beside the views of the orders that begin or go on in it.
//!
//! Orders change while they are looked at. So what differs is looked at a second time, and only what looks just the same
//! then, on either side, is a difference. What the store itself says is damaged is not in doubt, and may have been repaired
//! by then.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use order_domain::OrderId;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::look::Look;
use crate::event::{Position, RecordedEvent, Version};
use crate::order_list::ListQuery;
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::order_views::OrderViews;
use crate::projection::{OrderSummary, Unreadable};

/// Most rows beyond the log's end that one pass finds.
const MOST_BEYOND: usize = 500;
/// When they are looked for again: a writer that shows orders may have to wait so long for a processor before it moves the end.
const LATER: Duration = Duration::from_secs(1);

/// Something that differs between the views and the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// The order that it is about. `None`: that cannot be told.
    pub(super) order_id: Option<OrderId>,
    /// Where the list has a row too much.
    pub(super) too_much_at: Option<Position>,
    /// Whether a rebuilt view would be better.
    pub(super) can_be_repaired: bool,
    /// Whether the store says by itself that it is damaged.
    is_told_by_store: bool,
    /// In words.
    pub(super) what: String,
}

/// A page of the log: where it is, and which orders begin and go on in it.
pub(super) struct Stretch {
    /// It begins after this position.
    after: Position,
    /// Its last event.
    pub(super) last: Position,
    orders: BTreeMap<OrderId, OrderInStretch>,
}

/// What a page of the log says of an order.
#[derive(Default)]
struct OrderInStretch {
    /// Where the order begins, if it does so here.
    placed: Option<Position>,
    /// The version that it has at least, by its last event here.
    reached: Version,
}

/// How an order looks from all sides.
struct Looks {
    /// What is shown of it.
    shown: Look,
    /// What its events make of it, if it was placed in the stretch.
    derived: Option<Look>,
    /// What does not lead to it in a list with a filter.
    lost_way: Option<String>,
}

/// What the list shows of orders that were placed in a stretch.
struct Listed {
    rows: BTreeMap<Position, OrderSummary>,
    /// How many more it counts without showing them.
    left_out: usize,
}

impl Difference {
    fn new(order_id: Option<&OrderId>, what: String) -> Self {
        let order_id = order_id.cloned();
        Self { order_id, too_much_at: None, can_be_repaired: true, is_told_by_store: false, what }
    }

    /// What is wrong with one order's view.
    fn of(order_id: &OrderId, what: impl fmt::Display) -> Self {
        Self::new(Some(order_id), format!("order {order_id}: {what}"))
    }

    /// The store says that an order's view is damaged.
    fn damaged_view(order_id: &OrderId, why: &str) -> Self {
        let what = format_args!("its view is damaged: {why}");
        Self { is_told_by_store: true, ..Self::of(order_id, what) }
    }

    /// The store says that the list is damaged somewhere after this position.
    fn damaged_list(after: Position, why: &str) -> Self {
        let what = format!("the list after position {after} is damaged: {why}");
        Self { is_told_by_store: true, ..Self::new(None, what) }
    }

    /// The list has a row where no order was placed.
    fn listed_too_much(order_id: &OrderId, position: Position) -> Self {
        let what = format_args!("the list has it at position {position}, where no order was placed");
        Self { too_much_at: Some(position), ..Self::of(order_id, what) }
    }

    /// An event cannot be read.
    pub(super) fn unreadable_event(position: Position, why: &StoreError) -> Self {
        let what = format!("the event at position {position} cannot be read: {why}");
        Self { can_be_repaired: false, ..Self::new(None, what) }
    }
}

impl Stretch {
    /// `None` for an empty page.
    pub(super) fn of(after: Position, page: Vec<RecordedEvent>) -> Option<Self> {
        let last = page.last()?.position;
        let mut orders: BTreeMap<OrderId, OrderInStretch> = BTreeMap::new();
        for event in page {
            let order = orders.entry(event.order_id).or_default();
            if event.version == Version(1) {
                // A damaged order may begin twice, and is listed once.
                order.placed.get_or_insert(event.position);
            }
            order.reached = event.version;
        }
        Some(Self { after, last, orders })
    }

    /// What differs between its orders' views and its orders' events; one difference for each order, and for each row that
    /// the list has too much.
    pub(super) async fn differences(
        &self,
        log: &dyn EventLog,
        views: &dyn OrderViews,
    ) -> Result<Vec<Difference>, StoreError> {
        let mut found = self.look(log, views).await?;
        if !found.iter().all(|difference| difference.is_told_by_store) {
            let again = self.look(log, views).await?;
            found.retain(|difference| difference.is_told_by_store || again.contains(difference));
        }
        Ok(found)
    }

    /// Views are read after the page, so they have whatever the page has.
    async fn look(&self, log: &dyn EventLog, views: &dyn OrderViews) -> Result<Vec<Difference>, StoreError> {
        let mut found = Vec::new();
        let mut listed = match self.listed(views, &mut found).await {
            Err(StoreError::DamagedView(why)) => {
                found.push(Difference::damaged_list(self.after, &why));
                None
            }
            listed => Some(listed?),
        };
        for (order_id, order) in &self.orders {
            // A store may answer point reads without ever waiting. Requests come first.
            yield_now().await;
            let row = listed.as_mut().and_then(|listed| listed.rows.remove(&order.placed?));
            found.extend(match order.looks(order_id, log, views).await {
                Ok(looks) => order.difference(order_id, looks, row, listed.as_mut()),
                Err(StoreError::DamagedView(why)) => Some(Difference::damaged_view(order_id, &why)),
                Err(error) => return Err(error),
            });
        }
        let too_much = listed.into_iter().flat_map(|listed| listed.rows);
        found.extend(too_much.map(|(position, row)| Difference::listed_too_much(&row.order_id, position)));
        Ok(found)
    }

    /// What the list shows here; what is wrong with its order is added to `found`.
    async fn listed(
        &self,
        views: &dyn OrderViews,
        found: &mut Vec<Difference>,
    ) -> Result<Listed, StoreError> {
        // There are no more rows than positions.
        let limit = usize::try_from(self.last.0 - self.after.0).unwrap_or(usize::MAX);
        let page = views.many(&ListQuery::placed_after(self.after, limit)).await?;
        let mut rows = BTreeMap::new();
        let mut previous = self.after;
        for listed in page.orders.into_iter().take_while(|listed| listed.place <= self.last) {
            let position = listed.place;
            if position <= previous {
                let what = format_args!(
                    "the list has it, placed at position {position}, after an order that was placed later"
                );
                found.push(Difference::of(&listed.summary.order_id, what));
            }
            previous = position;
            rows.insert(position, listed.summary);
        }
        Ok(Listed { rows, left_out: page.left_out })
    }
}

impl OrderInStretch {
    /// What is shown of the order, and what its events make of it; the latter only where it begins, or an order of many
    /// events would be folded again and again.
    async fn looks(
        &self,
        order_id: &OrderId,
        log: &dyn EventLog,
        views: &dyn OrderViews,
    ) -> Result<Looks, StoreError> {
        let shown = Look::at_view(views, order_id).await?;
        if self.placed.is_none() {
            return Ok(Looks { shown, derived: None, lost_way: None });
        }
        let (derived, terms) = Look::at_events(log, order_id).await?;
        let lost_way = match derived {
            Look::Readable(_) => views.lost_way_to(order_id, &terms).await?,
            Look::Unreadable(_) | Look::Absent => None,
        };
        Ok(Looks { shown, derived: Some(derived), lost_way })
    }

    fn difference(
        &self,
        order_id: &OrderId,
        looks: Looks,
        row: Option<OrderSummary>,
        listed: Option<&mut Listed>,
    ) -> Option<Difference> {
        let Looks { shown, derived, lost_way } = looks;
        if let Some(derived) = &derived
            // An event of it has just been read, so it cannot be absent.
            && (*derived != shown || *derived == Look::Absent)
        {
            // The view of damaged events would only say that it cannot be read.
            let can_be_repaired = *derived != Look::Unreadable(Unreadable::Damaged);
            let what = format_args!("its view is {shown}, and its events make it {derived}");
            return Some(Difference { can_be_repaired, ..Difference::of(order_id, what) });
        }
        // A store may find events through an index that is as old as the view: then both agree, and both are wrong.
        if shown.is_behind(self.reached) {
            let what = format_args!("its view is {shown}, and the log has its version {}", self.reached);
            return Some(Difference::of(order_id, what));
        }
        let in_list = listed.and_then(|listed| listed.difference(&derived?, row));
        let in_filtered_list =
            || lost_way.map(|what| format!("a list with a filter does not find it: {what}"));
        in_list.or_else(in_filtered_list).map(|what| Difference::of(order_id, what))
    }
}

impl Listed {
    /// How an order's row differs from what its events make of it.
    fn difference(&mut self, derived: &Look, row: Option<OrderSummary>) -> Option<String> {
        match (derived, row) {
            (Look::Readable(derived), Some(row)) if **derived == row => None,
            (derived, Some(row)) => {
                Some(format!("the list has {row} in its place, and its events make it {derived}"))
            }
            (Look::Readable(derived), None) => {
                Some(format!("the list lacks it, and its events make it {derived}"))
            }
            (Look::Unreadable(Unreadable::Newer), None) => match self.left_out.checked_sub(1) {
                Some(others) => {
                    self.left_out = others;
                    None
                }
                None => Some("it cannot be read, and the list does not count it".to_owned()),
            },
            (Look::Unreadable(Unreadable::Damaged) | Look::Absent, None) => None,
        }
    }
}

/// Rows that the list has beyond the log's end, where no stretch is. A store may show an order a moment before its log's end has come
/// so far, so only what is still there later is a difference.
pub(super) async fn beyond_the_end(
    log: &dyn EventLog,
    views: &dyn OrderViews,
) -> Result<Vec<Difference>, StoreError> {
    let mut found = look_beyond_the_end(log, views).await?;
    if !found.iter().all(|difference| difference.is_told_by_store) {
        sleep(LATER).await;
        let again = look_beyond_the_end(log, views).await?;
        found.retain(|difference| difference.is_told_by_store || again.contains(difference));
    }
    Ok(found)
}

async fn look_beyond_the_end(
    log: &dyn EventLog,
    views: &dyn OrderViews,
) -> Result<Vec<Difference>, StoreError> {
    let after = log.end().await?;
    let page = match views.many(&ListQuery::placed_after(after, MOST_BEYOND)).await {
        Err(StoreError::DamagedView(why)) => return Ok(vec![Difference::damaged_list(after, &why)]),
        page => page?,
    };
    // What was placed meanwhile is in the log by now.
    let end = log.end().await?;
    let beyond = page.orders.iter().filter(|listed| listed.place > end);
    let too_much = beyond.map(|listed| Difference::listed_too_much(&listed.summary.order_id, listed.place));
    Ok(too_much.collect())
}
