//! Adds a run of the log to the replica's store, with the views that it leads to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use order_domain::OrderId;
use tokio::time::Instant;
use uuid::Uuid;

use super::{CHECKPOINT, OtherLog, ReplicaError};
use crate::backoff::Backoff;
use crate::cloud_event::PublishedEvent;
use crate::codec;
use crate::event::{NewEvent, Position, RecordedEvent, Version};
use crate::folded_order::FoldedOrder;
use crate::order_cache::OrderCache;
use crate::ports::checkpoints::Checkpoint;
use crate::ports::event_log::{Append, LogHistory, StoreError};
use crate::ports::replica_store::ReplicaStore;
use crate::projection::Unreadable;
use crate::stream;
use crate::traces::CommandTrace;

/// Events that are folded without letting others have the thread.
const FOLDED_AT_ONCE: usize = 256;
/// How long to wait for a store that has too much work.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// After this time the store counts as unavailable.
const STORE_PATIENCE: Duration = Duration::from_secs(25);

/// Writes into a replica's store: the one writer that it has.
pub(super) struct Writer {
    store: Arc<dyn ReplicaStore>,
    /// Orders as of the last event in the store.
    cache: OrderCache,
}

/// What is taken for granted about orders that are placed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placements {
    /// They are new. The store says so if one is not.
    AreNew,
    /// Nothing: they are looked up.
    AreLookedUp,
}

/// A part of the log on its way into the store.
struct Run {
    /// The position before it.
    after: Position,
    /// One for each event.
    appends: Vec<Append>,
    /// Its orders after it.
    orders: HashMap<OrderId, Option<FoldedOrder>>,
    /// Why the event after it cannot be applied.
    broken: Option<OtherLog>,
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
        let Some(first) = messages.first() else { return Ok(self.store.end().await?) };
        let after = Position(first.event.position.0 - 1);
        let id_before = stream::id_at(&*self.store, after).await?;
        let mut run = self.fold(after, id_before, &messages, Placements::AreNew).await?;
        match self.write(&run, bookmark.clone()).await {
            // Most likely an order is placed that is there already. Only damaged orders are, so nobody looks before.
            Err(StoreError::Corrupt(_)) => {
                run = self.fold(after, id_before, &messages, Placements::AreLookedUp).await?;
                self.write(&run, bookmark).await?;
            }
            outcome => outcome?,
        }
        let reached = run.reached();
        for (order_id, order) in run.orders {
            if let Some(FoldedOrder::Readable(order)) = order {
                self.cache.put(order_id, Arc::from(order));
            }
        }
        run.broken.map_or(Ok(reached), |other_log| Err(other_log.into()))
    }

    /// Applies events to their orders, up to one that cannot be applied. `id_before` is the id of the event before the
    /// first of them; `None` at the start of the log.
    async fn fold(
        &self,
        after: Position,
        mut id_before: Option<Uuid>,
        messages: &[PublishedEvent],
        placements: Placements,
    ) -> Result<Run, StoreError> {
        let appends = Vec::with_capacity(messages.len());
        let mut run = Run { after, appends, orders: HashMap::with_capacity(messages.len()), broken: None };
        for message in messages {
            if run.appends.len() % FOLDED_AT_ONCE == FOLDED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let event = &message.event;
            let order = match run.orders.entry(event.order_id.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.order_before(event, placements).await?),
            };
            match fold(order, message, id_before) {
                Ok(append) => run.appends.push(append),
                Err(other_log) => {
                    run.broken = Some(other_log);
                    break;
                }
            }
            id_before = Some(event.id);
        }
        Ok(run)
    }

    /// The order before an event, as the store has it.
    async fn order_before(
        &self,
        event: &RecordedEvent,
        placements: Placements,
    ) -> Result<Option<FoldedOrder>, StoreError> {
        if event.version == Version(1) && placements == Placements::AreNew {
            return Ok(None);
        }
        match self.cache.take(&event.order_id) {
            Some(order) => Ok(Some(Arc::unwrap_or_clone(order).into())),
            None => self.load(&event.order_id).await,
        }
    }

    async fn load(&self, order_id: &OrderId) -> Result<Option<FoldedOrder>, StoreError> {
        match FoldedOrder::load(&*self.store, order_id).await {
            // Nobody can read it, here or in the primary's log; what follows is kept with it.
            Err(StoreError::Corrupt(_)) => {
                let version = self.store.version(order_id).await?;
                Ok(Some(FoldedOrder::Unreadable { version, why: Unreadable::Damaged }))
            }
            loaded => loaded,
        }
    }

    /// Hands a run to the store; again for as long as it only has too much work. Before an event that cannot be applied, the
    /// bookmark stays where it is.
    async fn write(&self, run: &Run, bookmark: Option<Box<str>>) -> Result<(), StoreError> {
        let evidence = match run.broken {
            None => bookmark,
            Some(_) => self.store.load(CHECKPOINT).await?.unwrap_or_default().evidence,
        };
        let checkpoint = Checkpoint { position: run.reached(), evidence };
        let mut waits = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let deadline = Instant::now() + STORE_PATIENCE;
        loop {
            match self.store.replicate(run.appends.clone(), CHECKPOINT, checkpoint.clone()).await {
                Err(StoreError::Overloaded) if waits.wait_before(deadline).await => {}
                outcome => return outcome,
            }
        }
    }
}

impl Run {
    /// The position of its last event.
    fn reached(&self) -> Position {
        self.after.plus(self.appends.len() as u64)
    }
}

/// Applies an event to its order, and gives what the store needs to do the same. `id_before` is the id of the event that
/// comes before it here, which its message names if this is the log that it is of.
///
/// If the message names none, only the event's version is left to tell. Nothing comes before the first position, so nothing
/// is named there.
fn fold(
    order: &mut Option<FoldedOrder>,
    message: &PublishedEvent,
    id_before: Option<Uuid>,
) -> Result<Append, OtherLog> {
    let PublishedEvent { event, previous_id } = message.clone();
    let position = event.position;
    let is_proved = previous_id == id_before;
    if let Some(named) = previous_id.filter(|_| !is_proved) {
        return Err(OtherLog::another_before(position, named, id_before));
    }
    let before = order.as_ref().map_or(Version::NONE, FoldedOrder::version);
    let is_readable = !matches!(order, Some(FoldedOrder::Unreadable { .. }));
    if is_readable && !is_proved && event.version != before.plus(1) {
        let version = event.version;
        let why =
            format!("its event there is version {version} of an order that is at version {before} here");
        return Err(OtherLog { position, why });
    }
    let (next, unreadable) = FoldedOrder::after(order.take(), &event);
    if let Some(error) = unreadable {
        tracing::warn!(position = position.0, order_id = %event.order_id, %error, "an order cannot be read");
    }
    let terms = codec::search_terms(&event);
    let RecordedEvent { order_id, version, id, event_type, time, data, context, source, .. } = event;
    let append = Append {
        expected_version: Version(version.0 - 1),
        history: LogHistory::default(),
        events: vec![NewEvent { id, event_type, time, data, context, source }],
        view: next.view(&order_id),
        terms,
        order_id,
        receipt: None,
        deadline: None,
        trace: CommandTrace::None,
    };
    *order = Some(next);
    Ok(append)
}
