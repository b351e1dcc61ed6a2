use std::collections::{BTreeMap, HashSet};

use order_domain::OrderId;

use super::difference::{Difference, in_list};
use super::look::Look;
use crate::event::{Position, RecordedEvent, Version};
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::order_views::{ListQuery, OrderViews};

/// How often what changes while it is looked at is looked at again.
const MOST_LOOKS: usize = 5;
/// Most rows beyond the log's end that one pass finds.
const MOST_BEYOND: usize = 500;

/// A page of the log: where it is, and which orders begin and go on in it.
pub(super) struct Stretch {
    /// It begins after this position.
    pub(super) after: Position,
    /// Its last event.
    pub(super) last: Position,
    /// Where an order begins, ascending.
    begun: Vec<(Position, OrderId)>,
    /// The version that an order has at least, by its last event here.
    reached: BTreeMap<OrderId, Version>,
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
        let (mut begun, mut reached) = (Vec::new(), BTreeMap::new());
        for event in page {
            if event.version == Version(1) {
                begun.push((event.position, event.order_id.clone()));
            }
            reached.insert(event.order_id, event.version);
        }
        Some(Self { after, last, begun, reached })
    }

    /// What differs between its orders' views and its orders' events; one difference for each order, and for each row that
    /// the list has too much.
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
                Err(StoreError::DamagedView(why)) => (None, Some(Difference::damaged_view(order_id, &why))),
                compared => compared?,
            };
            found.extend(difference);
            placed.push(Placed { position: *position, order_id: order_id.clone(), look });
        }
        found.extend(self.compare_versions(views, &placed).await?);
        match self.compare_list(log, views, placed).await {
            Err(StoreError::DamagedView(why)) => found.push(Difference::damaged_list(self.after, &why)),
            listed => found.extend(listed?),
        }
        let mut told = HashSet::new();
        found.retain(|difference| told.insert((difference.order_id.clone(), difference.too_much_at)));
        Ok(found)
    }

    /// No view is behind the log. A store may find events through an index as old as the view, and then both would
    /// agree wrongly.
    async fn compare_versions(
        &self,
        views: &dyn OrderViews,
        placed: &[Placed],
    ) -> Result<Vec<Difference>, StoreError> {
        let has_reached = |placed: &&Placed| match &placed.look {
            Some(Look::Readable(summary)) => Some(&summary.version) >= self.reached.get(&placed.order_id),
            Some(Look::Unreadable(_) | Look::Absent) | None => false,
        };
        let seen: HashSet<_> = placed.iter().filter(has_reached).map(|placed| &placed.order_id).collect();
        let mut found = Vec::new();
        for (order_id, version) in self.reached.iter().filter(|(order_id, _)| !seen.contains(order_id)) {
            tokio::task::yield_now().await;
            let shown = match Look::at_view(views, order_id).await {
                Err(StoreError::DamagedView(why)) => {
                    found.push(Difference::damaged_view(order_id, &why));
                    continue;
                }
                shown => shown?,
            };
            let is_behind = match &shown {
                Look::Readable(summary) => summary.version < *version,
                Look::Absent => true,
                Look::Unreadable(_) => false,
            };
            if is_behind {
                let what = format_args!("its view is {shown}, and the log has its version {version}");
                found.push(Difference::of(order_id, what));
            }
        }
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
        // One row beyond the stretch shows that there are no more in it.
        let mut more = 1;
        let mut settled = Vec::new();
        for _ in 0..MOST_LOOKS {
            let page = views.many(&ListQuery { after: self.after, limit: placed.len() + more }).await?;
            let up_to = page.next.map_or(self.last, |next| next.min(self.last));
            let seen = placed.partition_point(|placed| placed.position <= up_to);
            let found = in_list(self.after, up_to, &placed[..seen], &page);
            let changed = look_again(log, &found, &mut placed).await?;
            if changed.is_empty() && up_to == self.last {
                return Ok(found);
            }
            if up_to < self.last {
                more *= 4;
            }
            settled = found;
            settled.retain(|found| !found.order_id.as_ref().is_some_and(|id| changed.contains(id)));
        }
        Ok(settled)
    }
}

/// Rows that the list has beyond the log's end, where no stretch is.
pub(super) async fn beyond_the_end(
    log: &dyn EventLog,
    views: &dyn OrderViews,
) -> Result<Vec<Difference>, StoreError> {
    let after = log.end().await?;
    let page = match views.many(&ListQuery { after, limit: MOST_BEYOND }).await {
        Err(StoreError::DamagedView(why)) => return Ok(vec![Difference::damaged_list(after, &why)]),
        page => page?,
    };
    // What was placed meanwhile is in the log by now.
    let end = log.end().await?;
    let beyond = page.orders.iter().filter(|listed| listed.placed_position > end);
    let too_much =
        beyond.map(|listed| Difference::listed_too_much(&listed.summary.order_id, listed.placed_position));
    Ok(too_much.collect())
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
            let difference = Difference::view(order_id, &shown, &derived);
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
