//! What readers ask. Every answer is at least as new as the last command that was acknowledged before the question.

use std::sync::Arc;

use order_domain::{Action, Obstacle, OrderId, Timestamp};

use super::{OrderService, ServiceParts};
use crate::codec;
use crate::event::{Position, RecordedEvent, Version};
use crate::order_list::{ListQuery, OrderPage};
use crate::ports::event_log::{LogHistory, StoreError};
use crate::projection::{OrderSummary, VersionedOrder};
use crate::stream;
use crate::subscription::Subscription;

/// A question that could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such order.
    #[error("no such order")]
    OrderNotFound,
    /// The log ends before a position that somebody says to have seen.
    #[error("the log ends at position {last_position}")]
    PositionAhead {
        /// Where it ends.
        last_position: Position,
    },
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which state of an order is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// After so many events.
    Version(Version),
    /// After the last event that was not later than this. The future is now.
    Time(Timestamp),
}

/// An action, and what stands in its way.
pub type ActionState = (Action, Option<Obstacle>);

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
        self.0.current(order_id).await?.ok_or(QueryError::OrderNotFound)
    }

    /// The order as it was.
    ///
    /// # Errors
    /// [`QueryError::OrderNotFound`] if it was not yet, or never came so far; otherwise see [`QueryError`].
    pub async fn order_as_of(&self, order_id: &OrderId, as_of: AsOf) -> Result<VersionedOrder, QueryError> {
        let mut order: Option<VersionedOrder> = None;
        let replay = |event: &RecordedEvent| {
            let wanted = match as_of {
                AsOf::Version(version) => event.version <= version,
                AsOf::Time(time) => event.time <= time,
            };
            if wanted {
                order = Some(codec::replay(order.take(), event).map_err(|error| error.at(event.position))?);
            }
            Ok(wanted)
        };
        stream::read_while(&*self.0.log, order_id, Version::NONE, replay).await?;
        let found = order.filter(|order| match as_of {
            AsOf::Version(version) => order.version == version,
            AsOf::Time(_) => true,
        });
        found.ok_or(QueryError::OrderNotFound)
    }

    /// Every action, and what stands in its way, if anything does; and the order's version.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn actions(&self, order_id: &OrderId) -> Result<(Version, Vec<ActionState>), QueryError> {
        let order = self.order(order_id).await?;
        let state = |action: &Action| (*action, self.0.limits.allows(&order, *action).err());
        Ok((order.version, Action::ALL.iter().map(state).collect()))
    }

    /// A page of orders.
    ///
    /// # Errors
    /// [`QueryError::PositionAhead`] if the page would begin beyond the log's end; otherwise see [`StoreError`].
    pub async fn list(&self, query: &ListQuery) -> Result<OrderPage, QueryError> {
        // A place from beyond the end shows where nothing follows it; where all comes before it, it has to be asked for.
        if query.sort.descending
            && let Some(after) = query.after
        {
            self.end_from(after).await?;
        }
        let page = self.0.views.many(query).await?;
        if page == OrderPage::default()
            && let Some(after) = query.after
        {
            self.end_from(after).await?;
        }
        Ok(page)
    }

    /// Follows the log from after a position.
    ///
    /// # Errors
    /// [`QueryError::PositionAhead`]; otherwise see [`StoreError`].
    pub async fn subscribe(&self, after: Position) -> Result<Subscription, QueryError> {
        self.end_from(after).await?;
        Ok(Subscription::new(Arc::clone(&self.0.log), &*self.0.bus, after))
    }

    /// Which history the log has: see [`LogHistory`].
    pub fn log_history(&self) -> LogHistory {
        self.0.log.history()
    }

    /// Whether commands and queries can be served now.
    ///
    /// # Errors
    /// The [`StoreError`] that a command would get.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.0.log.check().await
    }
}

impl ServiceParts {
    /// The order as the store has it now.
    pub(super) async fn current(
        &self,
        order_id: &OrderId,
    ) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        let history = self.begin();
        if let Some(order) = self.cache.get(order_id)
            && self.log.version(order_id).await? == order.version
            && self.log.history() == history
        {
            return Ok(Some(order));
        }
        self.load(order_id, self.begin()).await
    }

    /// Which history the log has, for whoever is about to ask for orders. What is remembered of another one is forgotten.
    pub(super) fn begin(&self) -> LogHistory {
        let history = self.log.history();
        self.cache.is_of(history);
        history
    }

    /// Whether what was read since [`begin`](Self::begin) answered is all of one history.
    pub(super) fn still_of(&self, history: LogHistory) -> Result<(), StoreError> {
        if self.log.history() == history {
            return Ok(());
        }
        Err(StoreError::Unavailable("the log went back while the order was being read".to_owned()))
    }

    /// Keeps an order for its next command, if it is of the history that the log has.
    pub(super) fn remember(&self, order_id: &OrderId, history: LogHistory, order: Arc<VersionedOrder>) {
        self.cache.put(order_id.clone(), order);
        // Asked when it is in: if the log goes back after this, whoever notices clears the cache after this, too.
        if self.log.history() != history {
            self.cache.forget(order_id);
        }
    }

    /// Replays an order from the store. Boxed: few commands need its room, and every command's future would have it.
    pub(super) async fn load(
        &self,
        order_id: &OrderId,
        history: LogHistory,
    ) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        self.cache.missed();
        Box::pin(self.load_after(order_id, history, None)).await
    }

    /// Replays what has happened to an order since `order`, or all of it.
    pub(super) async fn load_after(
        &self,
        order_id: &OrderId,
        history: LogHistory,
        mut order: Option<VersionedOrder>,
    ) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        let after = order.as_ref().map_or(Version::NONE, |order| order.version);
        let replay = |event: &RecordedEvent| {
            order = Some(codec::replay(order.take(), event).map_err(|error| error.at(event.position))?);
            Ok(())
        };
        stream::read_to_end(&*self.log, order_id, after, replay).await?;
        self.still_of(history)?;
        let order = order.map(Arc::new);
        if let Some(order) = &order {
            self.remember(order_id, history, Arc::clone(order));
        }
        Ok(order)
    }
}
