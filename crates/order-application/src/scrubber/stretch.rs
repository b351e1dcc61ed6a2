use std::collections::HashSet;

use order_domain::OrderId;

use super::difference::{Difference, Kind, in_list};
use super::look::Look;
use crate::event::{Position, RecordedEvent, Version};
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::order_views::{ListQuery, OrderViews};
use crate::projection::Unreadable;

/// How often what changes while it is looked at is looked at again.
const MOST_LOOKS: usize = 5;

/// A page of the log: where it is, and which orders have events in it.
pub(super) struct Stretch {
    /// It begins after this position.
    pub(super) after: Position,
    /// Its last event.
    pub(super) last: Position,
    /// Where an order begins, ascending.
    begun: Vec<(Position, OrderId)>,
    /// The orders that go on in it.
    continued: HashSet<OrderId>,
}

/// An order that was placed in a stretch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) position: Position,
    pub(super) order_id: OrderId,
    /// What its events make of it; `None` if it keeps changing, or if its view is damaged: that is told anyway.
    pub(super) look: Option<Look>,
}

impl Stretch {
    /// `None` for an empty page.
    pub(super) fn of(after: Position, page: Vec<RecordedEvent>) -> Option<Self> {
        let last = page.last()?.position;
        let (mut begun, mut continued) = (Vec::new(), HashSet::new());
        for event in page {
            if event.version == Version(1) {
                begun.push((event.position, event.order_id));
            } else {
                continued.insert(event.order_id);
            }
        }
        Some(Self { after, last, begun, continued })
    }

    /// What differs between its orders' views and its orders' events; one difference for each order.
    pub(super) async fn differences(
        &self,
        log: &dyn EventLog,
        views: &dyn OrderViews,
    ) -> Result<Vec<Difference>, StoreError> {
        let mut found = Vec::new();
        let mut placed = Vec::with_capacity(self.begun.len());
        for (position, order_id) in &self.begun {
            // A store may answer point reads without ever waiting. Requests come first.
            tokio::task::yield_now().await;
            let (look, difference) = match compare_order(log, views, order_id).await {
                Err(StoreError::DamagedView(why)) => {
                    (None, Some(Difference::of(order_id, Kind::DamagedView { why })))
                }
                compared => compared?,
            };
            found.extend(difference);
            placed.push(Placed { position: *position, order_id: order_id.clone(), look });
        }
        match self.compare_list(log, views, placed).await {
            Err(StoreError::DamagedView(why)) => found.push(Difference::list(self.after, why)),
            listed => found.extend(listed?),
        }
        let mut told = HashSet::new();
        found.retain(|difference| told.insert(difference.order_id.clone()));
        Ok(found)
    }

    /// Compares the list of what was placed here. What differs counts only if the order's events make the same of it after
    /// the look at the list as before.
    async fn compare_list(
        &self,
        log: &dyn EventLog,
        views: &dyn OrderViews,
        mut placed: Vec<Placed>,
    ) -> Result<Vec<Difference>, StoreError> {
        // Rows beyond those that are expected: they would make the page end before it has all.
        let mut more = 0;
        let mut settled = Vec::new();
        for _ in 0..MOST_LOOKS {
            let limit = (placed.len() + more).max(1);
            let page = views.many(&ListQuery { after: self.after, limit }).await?;
            let found = in_list(self.after, self.last, &placed, &page);
            if found.is_empty() {
                return Ok(found);
            }
            let too_much = found.iter().filter(|found| matches!(found.kind, Kind::ListedTooMuch { .. }));
            let more_now = too_much.count() + self.damaged(views).await?;
            let changed = look_again(log, &found, &mut placed).await?;
            if changed.is_empty() && more_now <= more {
                return Ok(found);
            }
            more = more_now.max(more);
            settled = found;
            settled.retain(|found| !found.order_id.as_ref().is_some_and(|id| changed.contains(id)));
        }
        Ok(settled)
    }

    /// How many orders that go on here are damaged. One that begins with another version than 1 is listed all the same.
    async fn damaged(&self, views: &dyn OrderViews) -> Result<usize, StoreError> {
        let mut damaged = 0;
        for order_id in &self.continued {
            match Look::at_view(views, order_id).await {
                Ok(Look::Unreadable(Unreadable::Damaged)) => damaged += 1,
                // A damaged view is told where its order begins.
                Ok(Look::Unreadable(Unreadable::Newer) | Look::Readable(_) | Look::Absent)
                | Err(StoreError::DamagedView(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }
}

/// Compares one order's view, and answers with what its events make of it.
async fn compare_order(
    log: &dyn EventLog,
    views: &dyn OrderViews,
    order_id: &OrderId,
) -> Result<(Option<Look>, Option<Difference>), StoreError> {
    let mut shown = Look::at_view(views, order_id).await?;
    for _ in 0..MOST_LOOKS {
        let derived = Look::at_events(log, order_id).await?;
        // An event of it has just been read, so it cannot be absent.
        if derived == shown && derived != Look::Absent {
            return Ok((Some(derived), None));
        }
        let shown_now = Look::at_view(views, order_id).await?;
        if shown_now == shown {
            let difference = Difference::of(order_id, Kind::View { shown, derived: derived.clone() });
            return Ok((Some(derived), Some(difference)));
        }
        shown = shown_now;
    }
    Ok((None, None))
}

/// Looks again at the events of orders that were found to differ, and answers with those that have changed.
async fn look_again(
    log: &dyn EventLog,
    found: &[Difference],
    placed: &mut [Placed],
) -> Result<HashSet<OrderId>, StoreError> {
    let found: HashSet<_> = found.iter().filter_map(|difference| difference.order_id.as_ref()).collect();
    let mut changed = HashSet::new();
    for placed in placed.iter_mut().filter(|placed| found.contains(&placed.order_id)) {
        let look = Some(Look::at_events(log, &placed.order_id).await?);
        if placed.look != look {
            placed.look = look;
            changed.insert(placed.order_id.clone());
        }
    }
    Ok(changed)
}
