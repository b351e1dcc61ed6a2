//! Receipts that the index does not have yet.

use order_application::ReceiptKey;

use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::views::overlay::{FlushCount, Generation, Overlay};

/// What a receipt takes: an entry of a map that may be half empty.
const BYTES_PER_RECEIPT: usize = 64;

impl Overlay {
    /// Adds receipts that were just committed.
    pub(crate) fn add_receipts(&self, receipts: &[(ReceiptKey, Sequence)]) {
        if receipts.is_empty() {
            return;
        }
        let active = &mut self.write().active;
        active.receipts.extend(receipts.iter().copied());
        active.bytes += receipts.len() * BYTES_PER_RECEIPT;
    }

    /// The number of the receipt under a key, if it came lately; otherwise the views know, after so many flushes.
    pub(crate) fn receipt(&self, key: &ReceiptKey) -> Result<Sequence, FlushCount> {
        let generations = self.read();
        let flushing = || generations.flushing.as_ref()?.receipts.get(key);
        let found = generations.active.receipts.get(key).or_else(flushing);
        found.copied().ok_or(generations.flushed)
    }
}

impl Generation {
    /// The new receipts, in no order.
    pub(crate) fn receipts(&self) -> impl ExactSizeIterator<Item = (&ReceiptKey, Sequence)> {
        self.receipts.iter().map(|(key, sequence)| (key, *sequence))
    }
}
