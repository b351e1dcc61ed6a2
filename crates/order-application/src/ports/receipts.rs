//! Receipts: what commands were answered with that came with a key.
//!
//! A receipt of a command that appends is committed together with its events ([`Append::receipt`](crate::Append)). They are
//! kept with the log, not with the views: they cannot be rebuilt from events.

use async_trait::async_trait;
use order_domain::Timestamp;

use crate::ports::event_log::StoreError;
use crate::receipt::{Receipt, ReceiptKey};

/// The receipts that a store keeps. There MUST never be two under one key, however many instances write.
#[async_trait]
pub trait Receipts: Send + Sync + 'static {
    /// The receipt under a key. What was acknowledged before this was called MUST be found.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for one that is not what was written, and for one of an event that the log has lost, where the store
    /// notices that; otherwise see [`StoreError`].
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError>;

    /// Keeps the receipt of a command that appended nothing, as durably as the log keeps events. Answers with the receipt that
    /// is under its key now: an earlier one MUST stay.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError>;

    /// Deletes receipts that are old, those that came first before the others. It MUST delete no more than `limit`, and look at
    /// few others, so that commands hardly wait for it. One that is neither old nor of the future MUST stay; an old one that came
    /// after it MAY stay until that one is old, too. Receipts that a wrong clock has dated in the future MUST NOT keep others from
    /// being deleted, and MAY go with an old one that came after them. The newest of all MAY stay, however old it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError>;
}

/// Which receipts are old, and which a wrong clock has dated in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptAge {
    /// From before this one is old.
    pub before: Timestamp,
    /// After this is the future.
    pub now: Timestamp,
}

impl ReceiptAge {
    /// Whether a receipt that was answered then is old.
    pub fn is_old(self, answered_at: Timestamp) -> bool {
        answered_at < self.before
    }

    /// Whether a receipt says that it is of the future.
    pub fn is_of_future(self, answered_at: Timestamp) -> bool {
        answered_at > self.now
    }
}

/// What has become of old receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trimmed {
    /// How many were deleted.
    pub receipts: usize,
    /// Whether there may be more.
    pub more: bool,
}
