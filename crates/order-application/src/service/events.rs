//! Pages of events: of one order's history, and of the log of all orders.

use std::collections::BTreeSet;

use order_domain::OrderId;

use super::{OrderService, QueryError};
use crate::event::{Position, RecordedEvent, Version};
use crate::ports::event_log::{PageLimit, StoreError};

/// Events that are read at a time where not all of them are wanted.
const SEARCH_EVENTS: usize = 500;

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    /// Only events of these types; of all types if there is none.
    pub types: BTreeSet<String>,
    /// Only events of this order.
    pub order_id: Option<OrderId>,
}

impl EventFilter {
    /// Whether an event is wanted.
    pub fn lets_through(&self, event: &RecordedEvent) -> bool {
        (self.types.is_empty() || self.types.contains(&*event.event_type))
            && self.order_id.as_ref().is_none_or(|wanted| *wanted == event.order_id)
    }
}

/// A page of events, after a version of an order or a position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage<P> {
    /// The wanted events among those that were looked at. There may be none, and still be some on later pages.
    pub events: Vec<RecordedEvent>,
    /// The last event that was looked at, after which the next page begins. `None` at the end.
    pub next: Option<P>,
}

impl OrderService {
    /// A page of the order's events after a version. It looks at [`searched_events`](super::ServiceLimits) at most.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn history(
        &self,
        order_id: &OrderId,
        after: Version,
        filter: &EventFilter,
        limit: PageLimit,
    ) -> Result<EventPage<Version>, QueryError> {
        let mut search = Search::new(filter, limit, self.0.limits.searched_events);
        let mut looked_at = after;
        while let Some(read) = search.next_read() {
            let events = self.0.log.read_stream(order_id, looked_at, read).await?;
            let Some((version, _)) = search.look_at(events) else { break };
            looked_at = version;
        }
        // Asked even if all events could be read: a history that is cut off must not look complete.
        let version = self.summary(order_id).await?.version;
        Ok(EventPage { events: search.found, next: (looked_at < version).then_some(looked_at) })
    }

    /// A page of the log after a position. It looks at [`searched_events`](super::ServiceLimits) at most, and ends before an
    /// event that cannot be read.
    ///
    /// # Errors
    /// [`QueryError::PositionAhead`]; otherwise see [`StoreError`].
    pub async fn log(
        &self,
        after: Position,
        filter: &EventFilter,
        limit: PageLimit,
    ) -> Result<EventPage<Position>, QueryError> {
        if let Some(order_id) = &filter.order_id {
            return self.log_of_order(order_id, after, filter, limit).await;
        }
        let mut search = Search::new(filter, limit, self.0.limits.searched_events);
        let mut looked_at = after;
        while let Some(read) = search.next_read() {
            let events = match self.0.log.read_log(looked_at, read).await {
                // The next page begins with it, and tells.
                Err(StoreError::Corrupt(_)) if looked_at > after => break,
                events => events?,
            };
            let Some((_, position)) = search.look_at(events) else { break };
            looked_at = position;
        }
        let end = self.end_from(after).await?;
        Ok(EventPage { events: search.found, next: (looked_at < end).then_some(looked_at) })
    }

    /// A page of the log after a position, as it is. Empty at the end.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn log_after(
        &self,
        after: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.0.log.read_log(after, limit).await
    }

    /// The log, filtered by order: the order's own history, from where its positions are past `after`. An order has few
    /// events and the log many, so the history is searched and not the log.
    async fn log_of_order(
        &self,
        order_id: &OrderId,
        after: Position,
        filter: &EventFilter,
        limit: PageLimit,
    ) -> Result<EventPage<Position>, QueryError> {
        self.end_from(after).await?;
        let mut version = Version::NONE;
        // An order has a bounded history, so this ends.
        loop {
            let search = PageLimit { events: SEARCH_EVENTS.max(limit.events), ..limit };
            let EventPage { mut events, next } = match self.history(order_id, version, filter, search).await {
                Err(QueryError::OrderNotFound) => EventPage { events: Vec::new(), next: None },
                page => page?,
            };
            events.retain(|event| event.position > after);
            if let (true, Some(next)) = (events.is_empty(), next) {
                version = next;
                continue;
            }
            let has_more = next.is_some() || events.len() > limit.events;
            events.truncate(limit.events);
            let next = events.last().filter(|_| has_more).map(|last| last.position);
            return Ok(EventPage { events, next });
        }
    }

    /// Where the log ends now, which is not before a position that somebody says to have seen. The store is asked after
    /// the position has been named, so that one that another instance has just committed is not beyond the end.
    ///
    /// # Errors
    /// [`QueryError::PositionAhead`]; otherwise see [`StoreError`].
    pub async fn end_from(&self, seen: Position) -> Result<Position, QueryError> {
        let last_position = self.0.log.end().await?;
        if seen > last_position {
            Err(QueryError::PositionAhead { last_position })
        } else {
            Ok(last_position)
        }
    }
}

/// Collects the wanted events of a page.
struct Search<'a> {
    filter: &'a EventFilter,
    limit: PageLimit,
    /// How many events may still be looked at.
    budget: usize,
    found: Vec<RecordedEvent>,
    found_bytes: usize,
}

impl<'a> Search<'a> {
    fn new(filter: &'a EventFilter, limit: PageLimit, budget: usize) -> Self {
        Self { filter, limit, budget, found: Vec::new(), found_bytes: 0 }
    }

    /// What to read next; `None` when the page is full, or enough has been looked at.
    fn next_read(&self) -> Option<PageLimit> {
        if self.is_full() || self.budget == 0 {
            return None;
        }
        let events =
            if self.filter.types.is_empty() { self.limit.events - self.found.len() } else { SEARCH_EVENTS };
        Some(PageLimit { events: events.min(self.budget), bytes: self.limit.bytes - self.found_bytes })
    }

    /// Looks at events until the page is full. Where the last one is that was looked at, if there is one.
    fn look_at(&mut self, events: Vec<RecordedEvent>) -> Option<(Version, Position)> {
        let mut last = None;
        for event in events {
            if self.is_full() {
                break;
            }
            self.budget -= 1;
            last = Some((event.version, event.position));
            if self.filter.lets_through(&event) {
                self.found_bytes += event.data.len();
                self.found.push(event);
            }
        }
        last
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.limit.events || self.found_bytes >= self.limit.bytes
    }
}
