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
    /// [`StoreError::Corrupt`] for one that is not what was written; otherwise see [`StoreError`].
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError>;

    /// Keeps the receipt of a command that appended nothing, as durably as the log keeps events. Answers with the receipt that
    /// is under its key now: an earlier one MUST stay.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError>;

    /// Deletes receipts from before `before`, the oldest first. It MUST delete no more than `limit`, and look at few others, so
    /// that commands hardly wait for it. Receipts that a wrong clock has dated in the future MUST NOT keep others from being
    /// deleted. The newest of all MAY stay, however old it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn trim_receipts(&self, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError>;
}

/// What has become of old receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trimmed {
    /// How many were deleted.
    pub receipts: usize,
    /// Whether there may be more.
    pub more: bool,
}
