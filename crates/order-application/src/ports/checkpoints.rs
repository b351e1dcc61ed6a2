//! How far something that follows the log has come, kept with the log.
//!
//! Among many instances on one store only one may move a checkpoint at a time: it holds the checkpoint's lease. What it
//! saves names the lease's epoch, and is refused once somebody else has a later one: a holder that was frozen and
//! wakes up late does no harm here.
//!
//! A store knows no term of a lease and compares no times. A holder claims again and again, and each time the lease's beat
//! goes up. Whoever has seen one beat for too long names it in a claim of its own: the store grants that if it is still the
//! last one.
//!
//! Every store goes through one contract suite (`order-store/tests/stores/contract`), which proves each MUST below.

use async_trait::async_trait;

use super::event_log::StoreError;
use crate::event::Position;

/// Checkpoints by name, and the leases on them.
///
/// A store that only one process opens need not care about leases: to whoever asks, it grants them.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// Takes or keeps the lease on a checkpoint. Of another holder it is taken only if `last_seen` is that holder's last
    /// beat.
    ///
    /// A holder keeps its epoch until it gives the lease back or another has it; every other way to a lease MUST give an
    /// epoch that is higher than all before. Each claim that is granted MUST give the lease a beat that it never had.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn claim(&self, name: &str, holder: &str, last_seen: Option<Beat>) -> Result<Claim, StoreError>;

    /// Gives a lease back, so that the next holder need not wait. Does nothing if it is no longer held.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError>;

    /// A checkpoint as it was saved last.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError>;

    /// Saves a checkpoint, durably. `false`, and nothing is saved, when somebody has had the lease since `epoch`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError>;
}

/// What becomes of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Whoever asked has the lease.
    Granted(Epoch),
    /// Another holder has it, whose last beat this is.
    Held(Beat),
}

/// Numbers the holders of a lease, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Numbers what is heard of a lease's holders, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beat(pub u64);

/// How far a follower has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to here is done.
    pub position: Position,
    /// What the other side would have to show for it, in a form that only its adapter reads. `None`: nothing is known of
    /// the other side.
    pub evidence: Option<Box<str>>,
}
