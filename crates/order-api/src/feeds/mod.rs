//! Live feeds: many readers of one log.
//!
//! A commit is heard of once, by the pump, and made into frames once for all feeds that want the same: what a connection is
//! handed are [`Bytes`](axum::body::Bytes) that all of them share. Feeds that are behind read the log in pages, which they
//! share as well if they are at the same place; one that takes its time lets go of all that and reads the log again when
//! its connection takes more.
//!
//! When feeds are many, what is committed is gathered for some milliseconds, and they take turns, a few at a time: requests
//! get in between.

mod feed;
mod hub;
mod page;
mod pages;
mod pump;
mod tail;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use order_application::figures::Counter;
use order_application::{OrderService, Position, QueryError, RepeatedFault};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use self::hub::Hub;
use self::pages::Pages;
use crate::asked_by::AskedBy;
use crate::config::ApiConfig;
use crate::shares::Shares;

pub(crate) use self::feed::Feed;
pub(crate) use self::page::FeedOptions;

/// Why a feed does not begin.
pub(crate) enum CannotFollow {
    /// As many are open as may be, or their connections hold as much as they may.
    TooMany,
    /// The log does not reach the position, or cannot be asked.
    Query(QueryError),
}

/// All live feeds of the service.
pub(crate) struct Feeds {
    service: OrderService,
    places: Shares,
    refused: Counter,
    heartbeat: Duration,
    shutdown: CancellationToken,
    pages: Arc<Pages>,
    /// The log cannot be followed.
    ending: Arc<RepeatedFault>,
    /// What follows the log while there are feeds.
    hub: Mutex<Weak<Hub>>,
}

impl Feeds {
    /// `event_source` is a JSON string, quotes included.
    pub(crate) fn new(service: OrderService, config: &ApiConfig, event_source: String) -> Self {
        let places = Shares::of(config.max_feeds);
        Self {
            pages: Arc::new(Pages::new(service.clone(), event_source, places.clone())),
            places,
            refused: Counter::default(),
            heartbeat: config.feed_heartbeat,
            shutdown: config.shutdown.clone(),
            ending: Arc::default(),
            hub: Mutex::default(),
            service,
        }
    }

    /// Begins a feed after a position.
    ///
    /// # Errors
    /// See [`CannotFollow`].
    pub(crate) async fn follow(
        &self,
        asked_by: Option<&AskedBy>,
        after: Position,
        options: FeedOptions,
    ) -> Result<Feed, CannotFollow> {
        if !self.places.has_any_for(asked_by) || !self.pages.has_room() {
            return Err(self.too_many());
        }
        let end = self.service.end_from(after).await.map_err(CannotFollow::Query)?;
        let hub = match self.running() {
            Some(hub) => hub,
            None => self.start(end).await.map_err(CannotFollow::Query)?,
        };
        // Not before it is known that it begins: another may have to end for it.
        let place = self.places.reserve_before_others(asked_by, 1).ok_or_else(|| self.too_many())?;
        hub.tail.feed_opened();
        let mut heartbeat = interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let options = Arc::new(options);
        Ok(Feed { hub, options, position: after, heartbeat, at_end: None, place })
    }

    /// How many are open, how many may be, and how many were refused.
    pub(crate) fn figures(&self) -> (usize, usize, u64) {
        let (open, most) = self.places.taken_of();
        (open, most, self.refused.now())
    }

    fn too_many(&self) -> CannotFollow {
        self.refused.add_one();
        CannotFollow::TooMany
    }

    fn running(&self) -> Option<Arc<Hub>> {
        let hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        hub.upgrade().filter(|hub| hub.tail.is_open())
    }

    /// Follows the log from its end, unless somebody else has begun to meanwhile.
    async fn start(&self, end: Position) -> Result<Arc<Hub>, QueryError> {
        let subscription = self.service.subscribe(end).await?;
        let mut current = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = current.upgrade().filter(|hub| hub.tail.is_open()) {
            return Ok(hub);
        }
        let (pages, ending) = (Arc::clone(&self.pages), Arc::clone(&self.ending));
        let hub = Arc::new(Hub::start(subscription, pages, ending, self.shutdown.clone()));
        *current = Arc::downgrade(&hub);
        Ok(hub)
    }
}
