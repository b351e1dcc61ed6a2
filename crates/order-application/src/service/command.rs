//! One command's way: lock, state, decide, append.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use order_domain::{Obstacle, OrderCommand, OrderError, OrderEvent, OrderId, Timestamp, decide};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::waiting::{InLine, Waiting};
use super::{CommandError, CommandMeta, CommandOutcome, DryRun, KeyClaim, OrderService, ServiceParts};
use crate::codec;
use crate::event::{NewEvent, Version};
use crate::event_context::EventContext;
use crate::figures::CommandFigures;
use crate::keyed_locks::Crowded;
use crate::order_locks::OrderGuard;
use crate::ports::event_log::{Append, AppendError, LogHistory, StoreError};
use crate::projection::{OrderView, VersionedOrder, apply};
use crate::receipt::AnswerKind;
use crate::search_term::SearchTerm;
use crate::traces::CommandTrace;

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
    /// See [`CommandError`]. On all of them but [`StoreError::OutcomeUnknown`], nothing happened.
    pub async fn execute(
        &self,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<CommandOutcome, CommandError> {
        self.0.execute_counted(None, order_id, command, meta).await
    }

    /// The same for a command that came with a key, if it did: what it is answered with is kept under the key. A command that
    /// is refused leaves the key as it was.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); and [`CommandError::KeyReused`] if another instance has accepted another request under
    /// the key meanwhile.
    pub async fn execute_claimed(
        &self,
        claim: Option<KeyClaim<'_>>,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<CommandOutcome, CommandError> {
        self.0.execute_counted(claim.as_ref(), order_id, command, meta).await
    }

    /// Says what a command would lead to now, and changes nothing. An id that is made for a placement is not kept.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub async fn dry_run(
        &self,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<DryRun, CommandError> {
        let parts = &self.0;
        let deadline = Instant::now() + parts.limits.command_patience;
        let (order_id, order) = match order_id {
            Some(order_id) => {
                let order = in_time(deadline, parts.current(&order_id)).await?;
                (order_id, order)
            }
            None => (parts.new_order_id(), None),
        };
        match parts.decide_on(order.as_deref(), &command, &meta) {
            Judgement::Append(decided) => {
                let next = Arc::new(decided.next(order.as_deref().cloned()));
                Ok(DryRun { order_id, events: decided.encoded, order: next })
            }
            Judgement::Answer(answer) => {
                answer?;
                let order =
                    order.ok_or(CommandError::Refused { error: OrderError::NotFound, facts: None })?;
                Ok(DryRun { order_id, events: Vec::new(), order })
            }
        }
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

/// What a command keeps from one attempt to the next.
struct Request<'a> {
    claim: Option<&'a KeyClaim<'a>>,
    order_id: &'a OrderId,
    answer: AnswerKind,
    deadline: Instant,
    /// Of the log, when nothing was known of the order yet.
    history: LogHistory,
    trace: &'a CommandTrace,
}

/// What has become of a decision.
enum Attempt {
    /// The command is accepted.
    Done(CommandOutcome),
    /// Another instance appended first, and the order is at this version.
    Conflict(Version),
    /// The basis was old already, and the order is at this version.
    Outdated(Version),
}

impl ServiceParts {
    /// Carries out a command and counts what becomes of it. One whose client hangs up before is not counted.
    async fn execute_counted(
        &self,
        claim: Option<&KeyClaim<'_>>,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<CommandOutcome, CommandError> {
        let row = CommandFigures::row_of(&command);
        let outcome = self.execute(claim, order_id, command, meta).await;
        self.commands.count(row, &outcome);
        outcome
    }

    /// One command to an order at a time in this process, first come, first served. Other instances know nothing of that:
    /// where one of them has changed the order meanwhile, it is loaded and decided again, until the command's time is over.
    async fn execute(
        &self,
        claim: Option<&KeyClaim<'_>>,
        order_id: Option<OrderId>,
        command: OrderCommand,
        meta: CommandMeta,
    ) -> Result<CommandOutcome, CommandError> {
        let order_id = order_id.unwrap_or_else(|| self.new_order_id());
        let deadline = match claim {
            Some(claim) => claim.deadline(),
            None => Instant::now() + self.limits.command_patience,
        };
        let mut lock = match self.locks.try_lock(&order_id) {
            Some(lock) => lock,
            None => {
                let _waiting = meta.trace.part("wait for the order");
                let _in_line = InLine::begin(meta.waiting.as_ref());
                let from = meta.waiting.as_ref().map(|Waiting(waits)| waits.network());
                Box::pin(self.lock_in_line(&order_id, from, deadline)).await?
            }
        };
        let history = self.begin();
        let mut basis = self.likely_basis(&order_id, history, &command, &meta, deadline).await?;
        let answer = AnswerKind::to(&command);
        let request = Request { claim, order_id: &order_id, answer, deadline, history, trace: &meta.trace };
        let mut had_conflict = false;
        loop {
            let deciding = meta.trace.part("decide");
            let judgement = self.decide_on(basis.order(), &command, &meta);
            drop(deciding);
            let attempt = match judgement {
                Judgement::Append(_) if had_conflict && Instant::now() >= deadline => {
                    let facts = self.limits.facts(basis.order());
                    return Err(CommandError::ConcurrentModification(facts));
                }
                Judgement::Append(decided) => {
                    let _appending = meta.trace.part("append");
                    self.try_append(&request, &basis, decided).await?
                }
                Judgement::Answer(answer) => self.confirm(&request, &basis, answer).await?,
            };
            let current = match attempt {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Conflict(current) => {
                    lock.met_conflict();
                    had_conflict = true;
                    current
                }
                Attempt::Outdated(current) => current,
            };
            let catching_up = self.catch_up(&order_id, history, &basis, current);
            basis = Basis::Confirmed(in_time(deadline, catching_up).await?);
        }
    }

    /// Appends what was decided, if the order is still at the version of the basis.
    async fn try_append(
        &self,
        request: &Request<'_>,
        basis: &Basis,
        decided: Decided,
    ) -> Result<Attempt, CommandError> {
        let Request { claim, order_id, answer, deadline, history, trace } = *request;
        let next = Arc::new(decided.next(basis.order().cloned()));
        let append = Append {
            order_id: order_id.clone(),
            expected_version: basis.version(),
            history,
            events: decided.encoded,
            view: OrderView::Readable(next.summary(order_id)),
            terms: decided.terms,
            receipt: claim.map(|claim| self.receipt(claim, order_id, next.version, answer)),
            deadline: Some(deadline),
            trace: trace.clone(),
        };
        match self.log.append(append).await {
            Ok(_) => Ok(Attempt::Done(self.appended(order_id.clone(), history, next, answer))),
            Err(AppendError::Conflict { current }) => Ok(Attempt::Conflict(current)),
            Err(AppendError::KeyTaken) => self.answered_elsewhere(claim).await.map(Attempt::Done),
            Err(AppendError::Store(error)) => Err(self.failed(order_id, error)),
        }
    }

    /// Gives an answer that appends nothing, if the store has just confirmed the version of the basis.
    async fn confirm(
        &self,
        request: &Request<'_>,
        basis: &Basis,
        answer: Result<(), CommandError>,
    ) -> Result<Attempt, CommandError> {
        let version = basis.version();
        if !basis.is_confirmed() {
            let current = in_time(request.deadline, self.log.version(request.order_id)).await?;
            self.still_of(request.history)?;
            if current != version {
                return Ok(Attempt::Outdated(current));
            }
        }
        let answer = answer.map(|()| CommandOutcome {
            order_id: request.order_id.clone(),
            version,
            answer: request.answer,
            appended: false,
        });
        Box::pin(self.nothing_appended(request.claim, answer)).await.map(Attempt::Done)
    }

    /// Waits for the order's lock behind others, if they are not too many of this network. Boxed, since few commands need its room.
    async fn lock_in_line(
        &self,
        order_id: &OrderId,
        from: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<OrderGuard<'_>, StoreError> {
        let overloaded = |_| StoreError::Overloaded;
        let lock = timeout_at(deadline, self.locks.lock(order_id, from)).await.map_err(overloaded)?;
        let lock = lock.map_err(|Crowded| StoreError::Overloaded)?;
        if let Some(pause) = lock.pause_for_others() {
            timeout_at(deadline, sleep(pause)).await.map_err(overloaded)?;
        }
        Ok(lock)
    }

    /// The order as it is now, given that others have moved it on to `current`, at least.
    async fn catch_up(
        &self,
        order_id: &OrderId,
        history: LogHistory,
        basis: &Basis,
        current: Version,
    ) -> Result<Option<Arc<VersionedOrder>>, StoreError> {
        // A version that went back is another history, as after a restored backup: what is known of it counts for nothing.
        let known = basis.order().filter(|order| order.version <= current);
        Box::pin(self.load_after(order_id, history, known.cloned())).await
    }

    async fn likely_basis(
        &self,
        order_id: &OrderId,
        history: LogHistory,
        command: &OrderCommand,
        meta: &CommandMeta,
        deadline: Instant,
    ) -> Result<Basis, StoreError> {
        if let Some(order) = self.cache.get(order_id) {
            return Ok(Basis::Cached(order));
        }
        if matches!(command, OrderCommand::Place(_)) {
            return Ok(Basis::AssumedNew);
        }
        let _loading = meta.trace.part("load the order");
        Ok(Basis::Confirmed(in_time(deadline, self.load(order_id, history)).await?))
    }

    /// Decides a command on an order, and makes everything ready that the decision needs.
    fn decide_on(
        &self,
        order: Option<&VersionedOrder>,
        command: &OrderCommand,
        meta: &CommandMeta,
    ) -> Judgement {
        let now = self.clock.now();
        let decision = decide(order.map(|versioned| &versioned.order), command, now);
        let events = match self.judge(decision, order, meta) {
            Ok(Some(events)) => events,
            Ok(None) => return Judgement::Answer(Ok(())),
            Err(refusal) => return Judgement::Answer(Err(refusal)),
        };
        let full = |obstacle: Obstacle| {
            let (error, facts) = (OrderError::InTheWay(obstacle), self.limits.facts(order));
            Judgement::Answer(Err(CommandError::Refused { error, facts }))
        };
        let version = order.map_or(Version::NONE, |order| order.version);
        if version.0 + events.len() as u64 > self.limits.events_after(command.leads_to_the_end()) {
            return full(Obstacle::HISTORY_FULL);
        }
        // The clock may go back; an order's times do not.
        let time = order.map_or(now, |order| order.updated_at.max(now));
        match self.encode(&events, time, meta) {
            Some(encoded) => {
                let before = order.map(|versioned| &versioned.order);
                let terms = events.iter().flat_map(|event| SearchTerm::added_by(event, before)).collect();
                Judgement::Append(Decided { events, encoded, terms, time })
            }
            None => full(Obstacle::EVENT_FULL),
        }
    }

    /// Puts the questions in their order: is there such an order, is it done already or its id taken, is the version right,
    /// does the state allow it. `None`: it is done already.
    fn judge(
        &self,
        decision: Result<Vec<OrderEvent>, OrderError>,
        order: Option<&VersionedOrder>,
        meta: &CommandMeta,
    ) -> Result<Option<Vec<OrderEvent>>, CommandError> {
        let facts = || self.limits.facts(order);
        let version = order.map_or(Version::NONE, |order| order.version);
        let refused = |error| Err(CommandError::Refused { error, facts: facts() });
        let mismatch = meta.if_match.as_ref().is_some_and(|if_match| !if_match.contain(version));
        match decision {
            Ok(events) if events.is_empty() => Ok(None),
            Err(
                error @ (OrderError::NotFound | OrderError::ReturnNotFound | OrderError::IdReused { .. }),
            ) => refused(error),
            Ok(_) | Err(_) if mismatch => Err(CommandError::VersionMismatch(facts())),
            Ok(events) => Ok(Some(events)),
            Err(error) => refused(error),
        }
    }

    fn appended(
        &self,
        order_id: OrderId,
        history: LogHistory,
        next: Arc<VersionedOrder>,
        answer: AnswerKind,
    ) -> CommandOutcome {
        let version = next.version;
        self.remember(&order_id, history, next);
        CommandOutcome { order_id, version, answer, appended: true }
    }

    /// After a failure nobody knows for certain where the order is.
    fn failed(&self, order_id: &OrderId, error: StoreError) -> CommandError {
        self.cache.forget(order_id);
        CommandError::Store(error)
    }

    /// The events in the form in which they are stored; `None` if one of them is longer than an event may be.
    fn encode(&self, events: &[OrderEvent], time: Timestamp, meta: &CommandMeta) -> Option<Vec<NewEvent>> {
        let context = self.context(meta);
        let encode = |event| {
            let (event_type, data) = codec::encode(event);
            if data.len() > self.limits.event_bytes {
                return None;
            }
            let (id, context) = (self.ids.next(), context.clone());
            Some(NewEvent { id, event_type: Cow::Borrowed(event_type), time, data, context, source: None })
        };
        events.iter().map(encode).collect()
    }

    fn context(&self, meta: &CommandMeta) -> EventContext {
        let (mut made, mut cause) = (Uuid::encode_buffer(), Uuid::encode_buffer());
        let correlation_id = match &meta.correlation_id {
            Some(given) => given,
            None => {
                let made = &*self.ids.next().hyphenated().encode_lower(&mut made);
                // For the log, if whoever brought the command has a span with a place for it.
                tracing::Span::current().record("correlation_id", made);
                made
            }
        };
        let causation_id = meta.causation_id.map(|id| &*id.hyphenated().encode_lower(&mut cause));
        EventContext::traced(correlation_id, causation_id, meta.actor.as_deref(), meta.trace.context())
    }

    fn new_order_id(&self) -> OrderId {
        let uuid = self.ids.next();
        match OrderId::new(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
            Ok(id) => id,
            Err(e) => unreachable!("invariant: a UUID is made of hexadecimal digits and hyphens: {e}"),
        }
    }
}

/// Asks the store for something while nothing has happened yet: its own patience may last longer than the command's time.
pub(super) async fn in_time<T>(
    deadline: Instant,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let too_late = || StoreError::Unavailable("it has not answered within the command's time".to_owned());
    timeout_at(deadline, asked).await.unwrap_or_else(|_| Err(too_late()))
}

/// What becomes of a command.
enum Judgement {
    Append(Decided),
    /// Nothing is appended: it has been done already, or is refused.
    Answer(Result<(), CommandError>),
}

/// What a command leads to, ready to be appended.
struct Decided {
    events: Vec<OrderEvent>,
    encoded: Vec<NewEvent>,
    terms: Vec<SearchTerm>,
    time: Timestamp,
}

impl Decided {
    /// The order after these events, given what it was before.
    fn next(&self, order: Option<VersionedOrder>) -> VersionedOrder {
        match self.events.iter().fold(order, |order, event| apply(order, event, self.time)) {
            Some(next) => next,
            None => {
                unreachable!("invariant: the events of an order that was never placed begin with OrderPlaced")
            }
        }
    }
}
