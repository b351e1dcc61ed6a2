//! What a copy needs of the two stores.

use async_trait::async_trait;
use order_application::{Checkpoint, PageLimit, Position, Receipt, RecordedEvent};
use uuid::Uuid;

use super::SideError;
use crate::verify::{VerifyProgress, VerifyReport};

/// Checkpoints with their names.
pub(crate) type NamedCheckpoints = Vec<(String, Checkpoint)>;

/// Receipts that follow on each other.
#[derive(Debug)]
pub(crate) struct ReceiptPage {
    pub(crate) receipts: Vec<Receipt>,
    /// The number of the last of them, in a store that numbers them.
    pub(crate) last_number: Option<u64>,
}

/// The store that is copied. Nothing is written to its log; it may grow while it is read.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// What tells its log from every other.
    fn identity(&self) -> Uuid;

    /// The last position.
    async fn log_end(&self) -> Result<Position, SideError>;

    /// A page of events after a position, up to another, each checked. Empty if there is none.
    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError>;

    /// Receipts that came after a page, or from the oldest on, at most so many; fewer only if there are no more.
    async fn receipts(&self, after: Option<&ReceiptPage>, limit: usize) -> Result<ReceiptPage, SideError>;

    /// All checkpoints that were ever saved.
    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError>;
}

/// The store that is written. Nobody else may open it until [`finish`](Self::finish).
#[async_trait]
pub(crate) trait Target: Send {
    /// What it is now.
    async fn state(&mut self) -> Result<TargetState, SideError>;

    /// Makes sure that nobody serves from it, before anything is written to it.
    async fn expect_unserved(&mut self) -> Result<(), SideError>;

    /// While it is still empty: says of itself, durably, that it is an unfinished copy of the log with this identity.
    async fn begin(&mut self, source: Uuid) -> Result<(), SideError>;

    /// Adds the next events, all or none.
    async fn append(&mut self, events: Vec<RecordedEvent>) -> Result<(), SideError>;

    /// Deletes all receipts.
    async fn delete_receipts(&mut self) -> Result<(), SideError>;

    /// Adds receipts, whose keys have none yet.
    async fn add_receipts(&mut self, receipts: &[Receipt]) -> Result<(), SideError>;

    /// Puts these checkpoints, with nobody's leases, in the place of all that are there.
    async fn put_checkpoints(&mut self, checkpoints: &NamedCheckpoints) -> Result<(), SideError>;

    /// Checks everything, and makes the views of an unfinished copy if they are kept beside the log.
    async fn verify(&mut self, progress: VerifyProgress<'_>) -> Result<VerifyReport, SideError>;

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
    /// The id of the event there, if there is one.
    pub(crate) last_event_id: Option<Uuid>,
}
