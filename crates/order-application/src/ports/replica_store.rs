//! A store whose log is a copy of another's.

use async_trait::async_trait;

use super::checkpoints::{Checkpoint, Checkpoints};
use super::event_log::{Append, EventLog, StoreError};

/// A store that events are copied into while it answers queries. Nobody else appends to it.
#[async_trait]
pub trait ReplicaStore: EventLog + Checkpoints {
    /// Adds events at the very positions that they have in the other log, together with the checkpoint that they bring
    /// the named follower to: all in one transaction, or nothing. `appends` are in log order, and the first event of the
    /// first of them belongs right after the end of this log, which [`EventLog::end`] tells. There may be none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when an append does not continue its order or `checkpoint` is not the position that they
    /// reach, and then nothing has happened; otherwise see [`StoreError`].
    async fn replicate(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError>;
}
