//! What a copy needs of the two stores.

use std::fmt;

use async_trait::async_trait;
use order_application::{Checkpoint, OrderView, PageLimit, Position, RecordedEvent};
use order_domain::OrderId;
use uuid::Uuid;

use super::{CopyError, SideError};
use crate::verify::VerifyReport;

/// Checkpoints with their names.
pub(crate) type NamedCheckpoints = Vec<(String, Checkpoint)>;

/// Where an order's first event is, and its view.
pub(crate) type PlacedView = (Position, OrderView);

/// The store that is copied. Nothing is written to its log; it may grow while it is read.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// What tells its log from every other.
    fn identity(&self) -> Uuid;

    /// The last position.
    async fn log_end(&self) -> Result<Position, SideError>;

    /// How the log ends, counted.
    async fn counted_end(&self) -> Result<CountedEnd, SideError>;

    /// A page of events after a position, up to another, each checked. Empty if there is none.
    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError>;

    /// The views of all orders that were placed after a position, up to another, in this order, with their places.
    async fn views_placed(&self, after: Position, up_to: Position) -> Result<Vec<PlacedView>, SideError>;

    /// The views of these orders, as they are at some moment after this was called.
    async fn views_of(&self, order_ids: &[OrderId]) -> Result<Vec<OrderView>, SideError>;

    /// All checkpoints that were ever saved.
    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError>;
}

/// The store that is written. Nobody else may open it until [`finish`](Self::finish).
#[async_trait]
pub(crate) trait Target: Send {
    /// What it is now.
    async fn state(&mut self) -> Result<TargetState, SideError>;

    /// The id of the event at a position.
    async fn event_id_at(&mut self, position: Position) -> Result<Option<Uuid>, SideError>;

    /// Says of itself, durably, that it is an unfinished copy of the log with this identity.
    async fn begin(&mut self, source: Uuid) -> Result<(), SideError>;

    /// Adds the next events, all or none; `source` is asked for views, if the target keeps any. Orders that were placed
    /// up to `round_began` have views that may be older than these events.
    async fn append(
        &mut self,
        events: Vec<RecordedEvent>,
        source: &dyn Source,
        round_began: Position,
    ) -> Result<(), CopyError>;

    /// Puts these checkpoints, with nobody's leases, in the place of all that are there.
    async fn put_checkpoints(&mut self, checkpoints: &NamedCheckpoints) -> Result<(), SideError>;

    /// How the log ends, counted.
    async fn counted_end(&mut self) -> Result<CountedEnd, SideError>;

    /// Checks everything. `progress` is told rows done and rows in all.
    async fn verify(
        &mut self,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<VerifyReport, SideError>;

    /// Makes everything durable, and lets servers open the store.
    async fn finish(&mut self) -> Result<(), SideError>;
}

/// What a target is before anything is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetState {
    /// What tells its log from every other.
    pub(crate) identity: Uuid,
    /// It says that it is an unfinished copy.
    pub(crate) copying: bool,
    /// Of which log it is a copy, finished or not.
    pub(crate) copied_from: Option<Uuid>,
    /// Its last position.
    pub(crate) log_end: Position,
}

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountedEnd {
    /// How many events there are.
    pub(crate) events: u64,
    /// The last position.
    pub(crate) log_end: Position,
    /// The id of the event there.
    pub(crate) last_event_id: Option<Uuid>,
}

impl fmt::Display for CountedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.last_event_id.unwrap_or_default();
        write!(f, "event {id} at position {} after {} events in all", self.log_end, self.events)
    }
}
