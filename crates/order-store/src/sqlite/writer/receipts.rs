//! Receipts that come without events, and the trimming of old ones, each time in a transaction of their own.

use std::collections::HashMap;

use order_application::{Receipt, StoreError};

use crate::sqlite::state::StoreState;
use crate::sqlite::writer::queue::{QueuedReceipt, QueuedTrim};
use crate::sqlite::writer::thread::{LogWriterThread, NewReceipts, RECEIPT_BYTES};
use crate::sqlite_error::is_damage;

/// What is under a receipt's key now.
type Kept = Result<Receipt, StoreError>;

impl LogWriterThread {
    pub(super) fn keep_receipts(&mut self, queued: Vec<QueuedReceipt>) {
        let kept = self.shared.health.check().and_then(|()| self.begin());
        let kept =
            kept.and_then(|()| self.commit_receipts(&queued).map_err(|error| self.receipts_failed(&error)));
        self.wal_copier.after_commit(queued.len() * RECEIPT_BYTES);
        let kept = kept.unwrap_or_else(|error| vec![Err(error); queued.len()]);
        for (QueuedReceipt { done, .. }, kept) in queued.into_iter().zip(kept) {
            // Whoever gave up waiting does not hear it.
            let _ = done.send(kept);
        }
    }

    /// In the transaction that has begun.
    fn commit_receipts(&mut self, queued: &[QueuedReceipt]) -> rusqlite::Result<Vec<Kept>> {
        let StoreState { known_keys, readers, .. } = &*self.shared;
        let mut kept = Vec::with_capacity(queued.len());
        let mut new: HashMap<_, &Receipt> = HashMap::new();
        let mut receipts = NewReceipts::new();
        for QueuedReceipt { receipt, .. } in queued {
            let earlier = match new.get(&receipt.key) {
                Some(earlier) => Ok(Some(Receipt::clone(*earlier))),
                None => readers.receipt(&receipt.key, known_keys),
            };
            if earlier == Ok(None) {
                receipts.push((receipt.key, self.log.insert_receipt(receipt)?));
                new.insert(receipt.key, receipt);
            }
            // One that cannot be looked up does not stop the others.
            kept.push(earlier.map(|earlier| earlier.unwrap_or_else(|| receipt.clone())));
        }
        self.log.commit()?;
        self.show_receipts(&receipts);
        self.flush_when_full();
        Ok(kept)
    }

    pub(super) fn trim_receipts(&mut self, queued: QueuedTrim) {
        let QueuedTrim { age, limit, done } = queued;
        let trimmed = self.shared.health.check().and_then(|()| self.begin());
        let trimmed = trimmed.and_then(|()| {
            let trimmed = self.log.trim_receipts(age, limit);
            let trimmed = trimmed.and_then(|trimmed| self.log.commit().map(|()| trimmed));
            trimmed.map_err(|error| {
                self.log.look_at_receipts_again();
                self.receipts_failed(&error)
            })
        });
        self.wal_copier.after_commit(trimmed.as_ref().map_or(0, |trimmed| trimmed.receipts * RECEIPT_BYTES));
        let _ = done.send(trimmed);
    }

    /// What is wrong with the receipts that are there stops no command. Nothing has failed to be written then.
    fn receipts_failed(&mut self, error: &rusqlite::Error) -> StoreError {
        if is_damage(error) && self.log.roll_back().is_ok() {
            return StoreError::Corrupt(format!("receipts: {error}"));
        }
        self.after_failed_commit(error)
    }
}
