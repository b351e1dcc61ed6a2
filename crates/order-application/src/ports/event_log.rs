//! The log: where events are kept. It is the truth, and everything else is derived from it.
//!
//! Every store goes through one contract suite (`order-store/tests/stores/contract`), which proves each MUST below.

use async_trait::async_trait;
use order_domain::OrderId;

use crate::event::{NewEvent, Position, RecordedEvent, Version};
use crate::projection::OrderView;

/// The log of all orders, and the stream of each.
///
/// * What [`append`](Self::append) acknowledged MUST be durable (as durable as the store claims to be) and MUST be
///   seen by every read that begins later: in the log, in the stream, and in the views
///   ([`OrderViews`](crate::OrderViews)) that are kept with it.
/// * Positions MUST be gap-free and strictly increasing in commit order: who has seen position n has seen everything
///   up to n.
/// * A store MUST hand commits to the [`EventBus`](crate::EventBus) it was given, in commit order.
/// * Bytes that changed since they were written MUST be answered as [`StoreError::Corrupt`], never as data.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends all events of `append` to its order's stream, or none.
    ///
    /// Two appends that expect the same version of an order MUST NOT both succeed. A refused append MUST NOT affect
    /// others that the store commits together with it. Dropping the returned future MUST NOT leave a part of the
    /// append.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the stream is not at the expected version; otherwise see [`StoreError`].
    async fn append(&self, append: Append) -> Result<Position, AppendError>;

    /// Appends what `decide` makes of the order's events after version `after`, so that nobody else's append comes in
    /// between: for an order that others keep changing. Without this, whoever is a little slower than the others would
    /// be refused again and again. `None` when `decide` wants nothing appended.
    ///
    /// `decide` may be called again, with the events of that moment. It MUST NOT block: other writers may be waiting.
    ///
    /// A store that only one process writes to need not do more than try again, as this does.
    ///
    /// # Errors
    /// As [`append`](Self::append); what `decide` answers with.
    async fn append_in_turn(
        &self,
        order_id: &OrderId,
        after: Version,
        decide: &mut DecideInTurn<'_>,
    ) -> Result<Option<Position>, AppendError> {
        let mut attempts = 0;
        loop {
            let news = read_all(self, order_id, after).await?;
            let Some(append) = decide(news)? else { return Ok(None) };
            attempts += 1;
            match self.append(append).await {
                Err(AppendError::Conflict { .. }) if attempts < MAX_ATTEMPTS_IN_TURN => {}
                outcome => return outcome.map(Some),
            }
        }
    }

    /// A page of an order's events with versions above `after`, ascending. Empty for an unknown order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the order is [damaged](crate::projection::Unreadable::Damaged); otherwise see
    /// [`StoreError`].
    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// A page of the log with positions above `after`, ascending. Empty at the end. It ends before an event that cannot be
    /// read.
    ///
    /// # Errors
    /// See [`StoreError`]; one of them when the first event of the page cannot be read.
    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The position of the newest event; [`Position::START`] while there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn end(&self) -> Result<Position, StoreError>;

    /// The version that an order has now; [`Version::NONE`] for an unknown one.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError>;

    /// Whether commands and queries can be served now.
    ///
    /// # Errors
    /// The [`StoreError`] that a command would get.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Makes an append of what has happened to an order since it was last looked at.
pub type DecideInTurn<'a> = dyn FnMut(Vec<RecordedEvent>) -> Result<Option<Append>, StoreError> + Send + 'a;

/// How often a store that takes no turns tries to append before it gives up.
const MAX_ATTEMPTS_IN_TURN: u32 = 16;

/// Events that are read at a time.
const PAGE: PageLimit = PageLimit::events(500);

/// All events of an order after a version.
async fn read_all<S: EventLog + ?Sized>(
    store: &S,
    order_id: &OrderId,
    mut after: Version,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events = Vec::new();
    loop {
        let page = store.read_stream(order_id, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(events) };
        after = last.version;
        events.extend(page);
    }
}

/// Events that one command adds to one order; or several commands, one after the other.
#[derive(Debug, Clone)]
pub struct Append {
    /// The stream.
    pub order_id: OrderId,
    /// The version that the command was decided on.
    pub expected_version: Version,
    /// What happened, at least one event.
    pub events: Vec<NewEvent>,
    /// The order's view after the last of the events.
    pub view: OrderView,
}

impl Append {
    /// Its events as they are in the log once the first of them stands at `first`.
    pub fn recorded_at(&self, first: Position) -> impl Iterator<Item = RecordedEvent> {
        (0..).zip(&self.events).map(move |(offset, event)| RecordedEvent {
            position: first.plus(offset),
            order_id: self.order_id.clone(),
            version: self.expected_version.plus(offset + 1),
            id: event.id,
            event_type: event.event_type.clone(),
            time: event.time,
            data: event.data.clone(),
            context: event.context.clone(),
            source: event.source.clone(),
        })
    }
}

/// How much one page may hold. A page has at least one event if there is one, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Most events.
    pub events: usize,
    /// Most bytes of event data, about.
    pub bytes: usize,
}

impl PageLimit {
    /// So many events, within the usual bytes.
    pub const fn events(events: usize) -> Self {
        Self { events, bytes: 4 * 1024 * 1024 }
    }
}

/// Why an append did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The order is at another version than expected: load, decide again.
    #[error("the order is at version {current}")]
    Conflict {
        /// The version that it is at.
        current: Version,
    },
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Its queues are full. Nothing happened; try again later.
    #[error("the store has more work than it can take")]
    Overloaded,
    /// It cannot be reached or has stopped. Nothing happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Whether the append happened could not be learnt. The same command may be sent again.
    #[error("whether the command took effect is unknown: {0}")]
    OutcomeUnknown(String),
    /// There is no space left to write to. Nothing happened.
    #[error("no space left for the store")]
    StorageFull,
    /// What was read is not what was written.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// A view is not what was written, and is being made anew from the log. Nothing happened.
    #[error("a view is damaged and is being made anew: {0}")]
    DamagedView(String),
    /// A newer release wrote it, and this one cannot read it. Nothing is wrong with it.
    #[error("a newer release is needed: {0}")]
    NewerRelease(String),
}
