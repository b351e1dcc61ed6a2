//! One command's way: lock, state, decide, append.

use std::borrow::Cow;
use std::sync::Arc;

use order_domain::{OrderCommand, OrderError, OrderEvent, OrderId, Timestamp, decide};
use tokio::time::timeout;
use uuid::Uuid;

use super::query::replay;
use super::{CommandError, CommandMeta, CommandOutcome, OrderFacts, OrderService, Shared};
use crate::codec;
use crate::event::{EventContext, NewEvent, RecordedEvent, Version};
use crate::order_locks::OrderGuard;
use crate::ports::event_store::{Append, AppendError, StoreError};
use crate::projection::{VersionedOrder, apply};

impl OrderService {
    /// Carries out a command. Without an id the command is a placement, and gets one.
    ///
    /// A caller that goes away cancels nothing half-way: up to the append nothing has happened, and from then on the
    /// append is the store's, whole. What this process has cached of the order may then be old, which the next command
    /// notices.
    ///
    /// When this returns `Ok`, the events are durable and every later read sees them.
    ///
    /// # Errors
    /// See [`CommandError`]. Nothing happened, but for [`StoreError::OutcomeUnknown`].
    pub async fn execute(
        &self,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<CommandOutcome, CommandError> {
        self.0.execute(order_id, command, meta).await
    }
}

/// What a command is decided on, and how sure that is.
enum Basis {
    /// A placement whose order is not known here: most likely new. Spares a look-up; the append settles it.
    AssumedNew,
    /// As this process saw it last. Another instance may have moved on.
    Cached(Arc<VersionedOrder>),
    /// As the store has it, after the command arrived.
    Confirmed(Option<Arc<VersionedOrder>>),
}

impl Basis {
    fn order(&self) -> Option<&VersionedOrder> {
        match self {
            Self::AssumedNew | Self::Confirmed(None) => None,
            Self::Cached(order) | Self::Confirmed(Some(order)) => Some(order),
        }
    }

    fn version(&self) -> Version {
        self.order().map_or(Version::NONE, |order| order.version)
    }

    fn is_confirmed(&self) -> bool {
        matches!(self, Self::Confirmed(_))
    }
}

impl Shared {
    async fn execute(
        &self,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<CommandOutcome, CommandError> {
        let order_id = order_id.unwrap_or_else(|| self.new_order_id());
        let Ok(mut lock) = timeout(self.limits.order_patience, self.locks.lock(&order_id)).await else {
            return Err(StoreError::Overloaded.into());
        };

        let mut basis = self.likely_basis(&order_id, &command).await?;
        let hopeful_decisions = if lock.is_contended() { 0 } else { self.limits.hopeful_decisions };
        for _ in 0..hopeful_decisions {
            match self.decide_on(&order_id, basis.order().map(Cow::Borrowed), &command, &meta)? {
                Judgement::Append(decided) => match self.store.append(decided.append).await {
                    Ok(_) => return Ok(self.appended(order_id, decided.next)),
                    Err(AppendError::Conflict { current }) => {
                        basis = Basis::Confirmed(self.catch_up(&order_id, &basis, current).await?);
                    }
                    Err(AppendError::Store(error)) => return Err(self.failed(&order_id, error)),
                },
                // An answer that appends nothing is only given on a version that the store has just confirmed.
                Judgement::Answer(answer) => {
                    let version = basis.version();
                    if basis.is_confirmed() {
                        return nothing_appended(order_id, version, answer);
                    }
                    let current = self.store.version(&order_id).await?;
                    if current == version {
                        return nothing_appended(order_id, version, answer);
                    }
                    basis = Basis::Confirmed(self.catch_up(&order_id, &basis, current).await?);
                }
            }
        }
        lock.found(hopeful_decisions > 0);
        self.execute_in_turn(order_id, &command, &meta, basis, &mut lock).await
    }

    /// Decides while the store holds off everybody else: others keep changing the order.
    async fn execute_in_turn(
        &self,
        order_id: OrderId,
        command: &OrderCommand,
        meta: &CommandMeta,
        basis: Basis,
        lock: &mut OrderGuard<'_>,
    ) -> Result<CommandOutcome, CommandError> {
        let after = basis.version();
        // Copied before the turn comes: others wait for its end.
        let mut known = Some(basis.order().cloned());
        // What the last decision was.
        let mut next = None;
        let mut answer = None;
        let mut decide = |news: Vec<RecordedEvent>| {
            if !news.is_empty() {
                lock.found(true);
            }
            let known = known.take().unwrap_or_else(|| basis.order().cloned());
            let order = replay(known, &news)?;
            let version = order.as_ref().map_or(Version::NONE, |order| order.version);
            (next, answer) = (None, None);
            match self.decide_on(&order_id, order.map(Cow::Owned), command, meta) {
                Ok(Judgement::Append(decided)) => {
                    next = Some(decided.next);
                    return Ok(Some(decided.append));
                }
                Ok(Judgement::Answer(found)) => {
                    answer = Some(nothing_appended(order_id.clone(), version, found));
                }
                Err(error) => answer = Some(Err(error)),
            }
            Ok(None)
        };
        let outcome = self.store.append_in_turn(&order_id, after, &mut decide).await;
        match (outcome, next, answer) {
            (Ok(Some(_)), Some(next), _) => Ok(self.appended(order_id, next)),
            (Ok(_), _, Some(answer)) => answer,
            (Err(AppendError::Store(error)), ..) => Err(self.failed(&order_id, error)),
            (Err(AppendError::Conflict { .. }), ..) | (Ok(_), _, None) => {
                self.cache.forget(&order_id);
                Err(CommandError::ConcurrentModification(OrderFacts::of(basis.order())))
            }
        }
    }

    /// The order as it is now, given that others have moved it on to `current`, at least.
    async fn catch_up(
        &self,
        order_id: &OrderId,
        basis: &Basis,
        current: Version,
    ) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        // A version that went back is another history, as after a restored backup: what is known of it counts for nothing.
        let known = basis.order().filter(|order| order.version <= current);
        self.load_after(order_id, known.cloned()).await
    }

    async fn likely_basis(&self, order_id: &OrderId, command: &OrderCommand) -> Result<Basis, StoreError> {
        if let Some(order) = self.cache.get(order_id) {
            return Ok(Basis::Cached(order));
        }
        match command {
            OrderCommand::Place(_) => Ok(Basis::AssumedNew),
            OrderCommand::AuthorizePayment(_) | OrderCommand::ReserveInventory(_) | OrderCommand::Ship(_) => {
                Ok(Basis::Confirmed(self.load(order_id).await?))
            }
        }
    }

    /// Decides a command on an order, and makes everything ready that the decision needs.
    fn decide_on(
        &self,
        order_id: &OrderId,
        order: Option<Cow<'_, VersionedOrder>>,
        command: &OrderCommand,
        meta: &CommandMeta,
    ) -> Result<Judgement, CommandError> {
        let now = self.time_after(order.as_deref());
        let decision = decide(order.as_deref().map(|versioned| &versioned.order), command, now);
        let events = match judge(decision, order.as_deref(), meta) {
            Ok(events) => events,
            Err(answer) => return Ok(Judgement::Answer(answer)),
        };
        let expected_version = order.as_ref().map_or(Version::NONE, |order| order.version);
        if expected_version.0 + events.len() as u64 > self.limits.order_events {
            return Err(CommandError::OrderFull(OrderFacts::of(order.as_deref())));
        }
        let order = order.map(Cow::into_owned);
        let next = events.iter().fold(order, |order, event| apply(order, event, now));
        let Some(next) = next.map(Arc::new) else {
            unreachable!("invariant: the events of an order that was never placed begin with OrderPlaced")
        };
        let append = Append {
            order_id: order_id.clone(),
            expected_version,
            events: self.encode(&events, now, meta)?,
            summary: next.summary(order_id),
        };
        Ok(Judgement::Append(Decided { append, next }))
    }

    fn appended(&self, order_id: OrderId, next: Arc<VersionedOrder>) -> CommandOutcome {
        let version = next.version;
        self.cache.put(order_id.clone(), next);
        CommandOutcome { order_id, version, appended: true }
    }

    /// After a failure nobody knows for certain where the order is.
    fn failed(&self, order_id: &OrderId, error: StoreError) -> CommandError {
        self.cache.forget(order_id);
        CommandError::Store(error)
    }

    fn encode(
        &self,
        events: &[OrderEvent],
        time: Timestamp,
        meta: &CommandMeta,
    ) -> Result<Vec<NewEvent>, CommandError> {
        let max_bytes = self.limits.event_bytes;
        let context = self.context(meta);
        let encode = |event| {
            let (event_type, data) = codec::encode(event);
            if data.len() > max_bytes {
                return Err(CommandError::EventTooLarge { bytes: data.len(), max_bytes });
            }
            let (id, context) = (self.ids.next(), context.clone());
            Ok(NewEvent { id, event_type: Cow::Borrowed(event_type), time, data, context })
        };
        events.iter().map(encode).collect()
    }

    fn context(&self, meta: &CommandMeta) -> EventContext {
        let made = || Arc::from(&*self.ids.next().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        EventContext {
            correlation_id: meta.correlation_id.clone().unwrap_or_else(made),
            causation_id: None,
            actor: meta.actor.clone(),
        }
    }

    fn new_order_id(&self) -> OrderId {
        let uuid = self.ids.next();
        match OrderId::new(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
            Ok(id) => id,
            Err(e) => unreachable!("invariant: a UUID is made of hexadecimal digits and hyphens: {e}"),
        }
    }

    /// The clock may go back; an order's times do not.
    fn time_after(&self, order: Option<&VersionedOrder>) -> Timestamp {
        let now = self.clock.now();
        order.map_or(now, |order| order.updated_at.max(now))
    }
}

/// What becomes of a command.
enum Judgement {
    Append(Decided),
    /// Nothing is appended: it has been done already, or is refused.
    Answer(Result<(), CommandError>),
}

/// Events ready to be appended, and the order that they lead to.
struct Decided {
    append: Append,
    next: Arc<VersionedOrder>,
}

/// Puts the questions in their order: is it done already, is the version right, does the state allow it. `Err` is the
/// answer of a command that appends nothing.
fn judge(
    decision: Result<Vec<OrderEvent>, OrderError>,
    order: Option<&VersionedOrder>,
    meta: &CommandMeta,
) -> Result<Vec<OrderEvent>, Result<(), CommandError>> {
    let facts = || OrderFacts::of(order);
    let version = order.map_or(Version::NONE, |order| order.version);
    let refused = |error| Err(Err(CommandError::Refused { error, facts: facts() }));
    let mismatch = meta.if_match.as_ref().is_some_and(|if_match| !if_match.allows(version));
    match decision {
        Ok(events) if events.is_empty() => Err(Ok(())),
        Err(error @ (OrderError::NotFound | OrderError::IdReused { .. })) => refused(error),
        Ok(_) | Err(_) if mismatch => Err(Err(CommandError::VersionMismatch(facts()))),
        Ok(events) => Ok(events),
        Err(error) => refused(error),
    }
}

fn nothing_appended(
    order_id: OrderId,
    version: Version,
    answer: Result<(), CommandError>,
) -> Result<CommandOutcome, CommandError> {
    answer.map(|()| CommandOutcome { order_id, version, appended: false })
}
