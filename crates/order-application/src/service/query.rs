//! What readers ask. Every answer is at least as new as the last command that was acknowledged before the question.

use std::sync::Arc;

use order_domain::OrderId;

use super::{OrderService, Shared};
use crate::codec::{self, CodecError};
use crate::event::{Position, RecordedEvent, Version};
use crate::ports::event_log::{PageLimit, StoreError};
use crate::ports::order_views::{ListQuery, OrderPage};
use crate::projection::{OrderSummary, VersionedOrder};
use crate::subscription::Subscription;

/// Events that are read at a time while an order is replayed or the log is searched.
const REPLAY_PAGE: PageLimit = PageLimit::events(500);

/// A question that could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such order.
    #[error("no such order")]
    OrderNotFound,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OrderService {
    /// The order's row.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn summary(&self, order_id: &OrderId) -> Result<OrderSummary, QueryError> {
        match self.0.views.one(order_id).await {
            // Its row may have been made by a release that knew less than this one.
            Err(StoreError::NewerRelease(_)) => Ok(self.order(order_id).await?.summary(order_id)),
            row => row?.ok_or(QueryError::OrderNotFound),
        }
    }

    /// The whole order.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn order(&self, order_id: &OrderId) -> Result<Arc<VersionedOrder>, QueryError> {
        let shared = &self.0;
        if let Some(order) = shared.cache.get(order_id)
            && shared.log.version(order_id).await? == order.version
        {
            return Ok(order);
        }
        shared.load(order_id).await?.ok_or(QueryError::OrderNotFound)
    }

    /// A page of orders.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        self.0.views.many(query).await
    }

    /// A page of the order's events after a version; of the given types only, if any are given.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn history(
        &self,
        order_id: &OrderId,
        mut after: Version,
        types: &[String],
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, QueryError> {
        let mut wanted = Wanted::new(types, limit);
        while let Some(page_limit) = wanted.next_page() {
            let page = self.0.log.read_stream(order_id, after, page_limit).await?;
            let Some(last) = page.last() else { break };
            after = last.version;
            wanted.take(page);
        }
        // Also where the events could be handed on as they are: nobody is shown the beginning of a history for all of it.
        self.summary(order_id).await?;
        Ok(wanted.events)
    }

    /// A page of the log after a position; of the given types only, if any are given. It ends before an event that cannot be
    /// read.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn log(
        &self,
        mut after: Position,
        types: &[String],
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut wanted = Wanted::new(types, limit);
        while let Some(page_limit) = wanted.next_page() {
            let page = match self.0.log.read_log(after, page_limit).await {
                Err(StoreError::Corrupt(_)) if !wanted.events.is_empty() => break,
                page => page?,
            };
            let Some(last) = page.last() else { break };
            after = last.position;
            wanted.take(page);
        }
        Ok(wanted.events)
    }

    /// Follows the log from after a position.
    pub fn subscribe(&self, after: Position) -> Subscription {
        Subscription::new(Arc::clone(&self.0.log), &*self.0.bus, after)
    }

    /// Whether commands and queries can be served now.
    ///
    /// # Errors
    /// The [`StoreError`] that a command would get.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.0.log.check().await
    }
}

/// Collects the events of a page that are of the wanted types.
struct Wanted<'a> {
    types: &'a [String],
    limit: PageLimit,
    events: Vec<RecordedEvent>,
    bytes: usize,
}

impl<'a> Wanted<'a> {
    fn new(types: &'a [String], limit: PageLimit) -> Self {
        Self { types, limit, events: Vec::new(), bytes: 0 }
    }

    /// What to read next, if anything.
    fn next_page(&self) -> Option<PageLimit> {
        let missing = self.limit.events.saturating_sub(self.events.len());
        if missing == 0 || self.bytes >= self.limit.bytes {
            return None;
        }
        let events = if self.types.is_empty() { missing } else { REPLAY_PAGE.events };
        Some(PageLimit { events, bytes: self.limit.bytes - self.bytes })
    }

    fn take(&mut self, page: Vec<RecordedEvent>) {
        for event in page {
            let wanted = self.types.is_empty() || self.types.iter().any(|t| *t == event.event_type);
            if wanted && self.events.len() < self.limit.events {
                self.bytes += event.data.len();
                self.events.push(event);
            }
        }
    }
}

impl Shared {
    /// Replays an order from the store.
    pub(super) async fn load(&self, order_id: &OrderId) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        self.load_after(order_id, None).await
    }

    /// Replays what has happened to an order since `order`, or all of it.
    pub(super) async fn load_after(
        &self,
        order_id: &OrderId,
        mut order: Option<VersionedOrder>,
    ) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        loop {
            let after = order.as_ref().map_or(Version::NONE, |order| order.version);
            let page = self.log.read_stream(order_id, after, REPLAY_PAGE).await?;
            if page.is_empty() {
                break;
            }
            order = replay(order, &page)?;
        }
        let order = order.map(Arc::new);
        if let Some(order) = &order {
            self.cache.put(order_id.clone(), Arc::clone(order));
        }
        Ok(order)
    }
}

/// Applies further events to an order.
pub(super) fn replay(
    order: Option<VersionedOrder>,
    events: &[RecordedEvent],
) -> Result<Option<VersionedOrder>, StoreError> {
    events.iter().try_fold(order, |order, event| match codec::replay(order, event) {
        Ok(next) => Ok(Some(next)),
        Err(error) => {
            let what = format!("event at position {}: {error}", event.position);
            Err(match error {
                CodecError::NewerEvent(_) => StoreError::NewerRelease(what),
                CodecError::Invalid(_) => StoreError::Corrupt(what),
            })
        }
    })
}
