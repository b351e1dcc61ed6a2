//! One command's way: lock, state, decide, append.

use std::borrow::Cow;
use std::sync::Arc;

use order_domain::{OrderCommand, OrderError, OrderEvent, OrderId, Timestamp, decide};
use uuid::Uuid;

use super::{CommandError, CommandMeta, CommandOutcome, OrderFacts, OrderService, Shared};
use crate::codec;
use crate::event::{EventContext, NewEvent, Version};
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
        let _turn = self.locks.lock(&order_id).await;

        let mut basis = self.likely_basis(&order_id, &command).await?;
        for _ in 0..self.limits.decisions {
            let now = self.time_after(basis.order());
            let decision = decide(basis.order().map(|versioned| &versioned.order), &command, now);
            match judge(decision, &basis, &meta) {
                Judgement::Append(events) => {
                    match self.append(&order_id, basis.order(), events, now, &meta).await {
                        Err(NotAppended::Conflict) => {
                            basis = Basis::Confirmed(self.load(&order_id).await?);
                        }
                        Err(NotAppended::Error(error)) => return Err(error),
                        Ok(version) => return Ok(CommandOutcome { order_id, version, appended: true }),
                    }
                }
                // An answer that appends nothing is only given on a version that the store has just confirmed.
                Judgement::Answer(answer)
                    if basis.is_confirmed() || self.store.version(&order_id).await? == basis.version() =>
                {
                    return answer.map(|()| CommandOutcome {
                        version: basis.version(),
                        order_id,
                        appended: false,
                    });
                }
                Judgement::Answer(_) => basis = Basis::Confirmed(self.load(&order_id).await?),
            }
        }
        Err(CommandError::ConcurrentModification(OrderFacts::of(basis.order())))
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

    async fn append(
        &self,
        order_id: &OrderId,
        order: Option<&VersionedOrder>,
        events: Vec<OrderEvent>,
        now: Timestamp,
        meta: &CommandMeta,
    ) -> Result<Version, NotAppended> {
        let expected_version = order.map_or(Version::NONE, |order| order.version);
        if expected_version.0 + events.len() as u64 > self.limits.order_events {
            return Err(CommandError::OrderFull(OrderFacts::of(order)).into());
        }
        let next = events.iter().fold(order.cloned(), |order, event| apply(order, event, now));
        let Some(next) = next.map(Arc::new) else {
            unreachable!("invariant: the events of an order that was never placed begin with OrderPlaced")
        };
        let append = Append {
            order_id: order_id.clone(),
            expected_version,
            events: self.encode(&events, now)?,
            context: self.context(meta),
            summary: next.summary(order_id),
        };
        match self.store.append(append).await {
            Ok(_) => {
                let version = next.version;
                self.cache.put(order_id.clone(), next);
                Ok(version)
            }
            Err(error) => {
                self.cache.forget(order_id);
                Err(match error {
                    AppendError::Conflict { .. } => NotAppended::Conflict,
                    AppendError::Store(error) => CommandError::Store(error).into(),
                })
            }
        }
    }

    fn encode(&self, events: &[OrderEvent], time: Timestamp) -> Result<Vec<NewEvent>, CommandError> {
        let max_bytes = self.limits.event_bytes;
        let encode = |event| {
            let (event_type, data) = codec::encode(event);
            if data.len() > max_bytes {
                return Err(CommandError::EventTooLarge { bytes: data.len(), max_bytes });
            }
            Ok(NewEvent { id: self.ids.next(), event_type: Cow::Borrowed(event_type), time, data })
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

enum Judgement {
    Append(Vec<OrderEvent>),
    Answer(Result<(), CommandError>),
}

/// Puts the questions in their order: is it done already, is the version right, does the state allow it.
fn judge(decision: Result<Vec<OrderEvent>, OrderError>, basis: &Basis, meta: &CommandMeta) -> Judgement {
    let facts = || OrderFacts::of(basis.order());
    let refused = |error| Judgement::Answer(Err(CommandError::Refused { error, facts: facts() }));
    let mismatch = meta.if_match.as_ref().is_some_and(|if_match| !if_match.allows(basis.version()));
    match decision {
        Ok(events) if events.is_empty() => Judgement::Answer(Ok(())),
        Err(error @ (OrderError::NotFound | OrderError::IdReused { .. })) => refused(error),
        Ok(_) | Err(_) if mismatch => Judgement::Answer(Err(CommandError::VersionMismatch(facts()))),
        Ok(events) => Judgement::Append(events),
        Err(error) => refused(error),
    }
}

enum NotAppended {
    Conflict,
    Error(CommandError),
}

impl From<CommandError> for NotAppended {
    fn from(error: CommandError) -> Self {
        Self::Error(error)
    }
}
