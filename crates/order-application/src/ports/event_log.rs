//! The log: where events are kept. It is the truth, and everything else is derived from it.
//!
//! Every store goes through one contract suite (`order-store/tests/stores/contract`), which proves each MUST below.

use async_trait::async_trait;
use order_domain::OrderId;
use tokio::time::Instant;

use crate::event::{NewEvent, Position, RecordedEvent, Version};
use crate::projection::OrderView;
use crate::receipt::Receipt;
use crate::search_term::SearchTerm;
use crate::traces::CommandTrace;

pub use crate::store_error::StoreError;

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
    /// How long an append waits before the store begins with it MUST be bounded, and so MUST be how many wait. What is refused
    /// as [`StoreError::Overloaded`] MUST NOT be written later.
    ///
    /// The receipt that comes with it MUST be committed together with its events, and only if there is none under its key.
    /// That there is one MUST be told even if the stream is not at the expected version.
    ///
    /// # Errors
    /// [`AppendError::KeyTaken`] when there is a receipt under the append's key; [`AppendError::Conflict`] when the stream is
    /// not at the expected version; otherwise see [`StoreError`].
    async fn append(&self, append: Append) -> Result<Position, AppendError>;

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

    /// Which history the log has, as far as this store knows. A store whose log can go back under it, as a database does that
    /// is put back to an older copy, MUST answer with another one before it hands out anything of the older log, and MUST
    /// refuse every append that was decided on the history before.
    fn history(&self) -> LogHistory {
        LogHistory::default()
    }
}

/// Tells what was learnt of a log from what was learnt of it before it went back. Whoever remembers anything of it keeps this
/// beside it, asked for *before* the first read, and forgets all of it when the log has another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogHistory(pub u64);

/// Events that one command adds to one order.
#[derive(Debug, Clone)]
pub struct Append {
    /// The stream.
    pub order_id: OrderId,
    /// The version that the command was decided on.
    pub expected_version: Version,
    /// The history that this version is of.
    pub history: LogHistory,
    /// What happened, at least one event.
    pub events: Vec<NewEvent>,
    /// The order's view after the last of the events.
    pub view: OrderView,
    /// What the order is found by because of the events. On a replica, some of it may be known already.
    pub terms: Vec<SearchTerm>,
    /// What remains of the command, if it came with a key.
    pub receipt: Option<Receipt>,
    /// Until when somebody waits for it; `None`: as long as the store takes.
    pub deadline: Option<Instant>,
    /// The trace of the command: where it is recorded, the store records its commit as a part of it.
    pub trace: CommandTrace,
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
    /// Another command was accepted under the key: its receipt says what it was answered with.
    #[error("there is a receipt under the key")]
    KeyTaken,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}
