//! Adds a run of the log to the replica's store, with the views that it leads to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use order_domain::OrderId;
use tokio::time::sleep;

use super::{CHECKPOINT, ReplicaError, Unfit};
use crate::cloud_event::PublishedEvent;
use crate::event::{NewEvent, Position, RecordedEvent, Version};
use crate::folded_order::{FoldedOrder, UnreadableEvent};
use crate::order_cache::OrderCache;
use crate::ports::checkpoints::Checkpoint;
use crate::ports::event_log::{Append, PageLimit, StoreError};
use crate::ports::replica_store::ReplicaStore;
use crate::projection::Unreadable;

/// Events that are read at a time where an order has to be looked up.
const PAGE: PageLimit = PageLimit::events(500);
/// Events that are folded without letting others have the thread.
const FOLDED_AT_ONCE: usize = 256;
/// How long to wait for a store that has too much work; each further wait is twice as long, up to a bound.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// After so many of them the store counts as unavailable.
const MAX_WAITS: u32 = 120;

/// Writes into a replica's store: the one writer that it has.
pub(super) struct Writer {
    store: Arc<dyn ReplicaStore>,
    /// Orders as of the last event in the store.
    cache: OrderCache,
}

impl Writer {
    pub(super) fn new(store: Arc<dyn ReplicaStore>, cache_bytes: u64) -> Self {
        Self { store, cache: OrderCache::new(cache_bytes) }
    }

    /// Adds events that continue the store's log, with the bookmark that they lead to, and answers with the position of
    /// the last.
    ///
    /// # Errors
    /// See [`ReplicaError`]. Of events before one that cannot be applied, all are in the store then; otherwise none.
    pub(super) async fn apply(
        &self,
        messages: Vec<PublishedEvent>,
        bookmark: Option<Box<str>>,
    ) -> Result<Position, ReplicaError> {
        let Some(position) = messages.last().map(|message| message.event.position) else {
            return Ok(self.store.end().await?);
        };
        let mut orders = HashMap::with_capacity(messages.len());
        let mut appends = Vec::with_capacity(messages.len());
        for PublishedEvent { event, .. } in messages {
            if appends.len() % FOLDED_AT_ONCE == FOLDED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let order = match orders.entry(event.order_id.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.order_before(&event).await?),
            };
            match fold(order, event) {
                Ok(append) => appends.push(append),
                Err(error) => {
                    self.apply_before(appends, error.position()).await?;
                    return Err(error.into());
                }
            }
        }
        self.replicate(appends, Checkpoint { position, evidence: bookmark }).await?;
        for (order_id, order) in orders {
            if let Some(FoldedOrder::Readable(order)) = order {
                self.cache.put(order_id, Arc::from(order));
            }
        }
        Ok(position)
    }

    /// Adds what comes before an event that cannot be applied. The bookmark stays where it is.
    async fn apply_before(&self, appends: Vec<Append>, position: Position) -> Result<(), StoreError> {
        let bookmark = self.store.load(CHECKPOINT).await?.unwrap_or_default().evidence;
        let position = Position(position.0 - 1);
        self.replicate(appends, Checkpoint { position, evidence: bookmark }).await
    }

    /// The order before an event, as the store has it. A placement needs no look.
    async fn order_before(&self, event: &RecordedEvent) -> Result<Option<FoldedOrder>, StoreError> {
        if event.version == Version(1) {
            return Ok(None);
        }
        match self.cache.take(&event.order_id) {
            Some(order) => Ok(Some(Arc::unwrap_or_clone(order).into())),
            None => self.load(&event.order_id).await,
        }
    }

    async fn load(&self, order_id: &OrderId) -> Result<Option<FoldedOrder>, StoreError> {
        let mut order: Option<FoldedOrder> = None;
        loop {
            let after = order.as_ref().map_or(Version::NONE, FoldedOrder::version);
            let page = match self.store.read_stream(order_id, after, PAGE).await {
                Ok(page) => page,
                // Nobody can read it, here or in the primary's log; what follows is kept with it.
                Err(StoreError::Corrupt(_)) => {
                    let version = self.store.version(order_id).await?;
                    return Ok(Some(FoldedOrder::Unreadable { version, why: Unreadable::Damaged }));
                }
                Err(error) => return Err(error),
            };
            if page.is_empty() {
                return Ok(order);
            }
            for event in page {
                order = Some(FoldedOrder::after(order, &event).0);
            }
        }
    }

    /// Hands the appends to the store; again for as long as it only has too much work.
    async fn replicate(&self, appends: Vec<Append>, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let mut wait = FIRST_WAIT;
        for _ in 0..MAX_WAITS {
            match self.store.replicate(appends.clone(), CHECKPOINT, checkpoint.clone()).await {
                Err(StoreError::Overloaded) => {}
                outcome => return outcome,
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Err(StoreError::Overloaded)
    }
}

/// Applies an event to its order, and gives what the store needs to do the same.
fn fold(order: &mut Option<FoldedOrder>, event: RecordedEvent) -> Result<Append, Unfit> {
    let before = order.as_ref().map_or(Version::NONE, FoldedOrder::version);
    let is_readable = !matches!(order, Some(FoldedOrder::Unreadable { .. }));
    if is_readable && event.version != before.plus(1) {
        return Err(Unfit::OtherLog {
            position: event.position,
            why: format!(
                "its event there is version {} of an order that is at version {before} here",
                event.version
            ),
        });
    }
    let (next, unreadable) = FoldedOrder::after(order.take(), &event);
    if let Some(UnreadableEvent { error }) = unreadable {
        tracing::warn!(position = %event.position, order_id = %event.order_id, %error, "an order cannot be read");
    }
    let RecordedEvent { order_id, version, id, event_type, time, data, context, source, .. } = event;
    let append = Append {
        expected_version: Version(version.0 - 1),
        events: vec![NewEvent { id, event_type, time, data, context, source }],
        view: next.view(&order_id),
        order_id,
    };
    *order = Some(next);
    Ok(append)
}
