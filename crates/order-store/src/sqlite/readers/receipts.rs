//! Finding receipts: where one is, by overlay and views, and the row that the log has there.

use order_application::{Receipt, ReceiptKey, StoreError};

use crate::sqlite::log::accepted_losses;
use crate::sqlite::log::receipts::{self, Sequence};
use crate::sqlite::readers::Readers;
use crate::sqlite::views::known_keys::KnownKeys;
use crate::sqlite::views::receipt_index::{self, ReceiptEntry, Segment};

/// Parts that the entries of a segment are read in, each in one snapshot.
pub(crate) const PARTS_OF_SEGMENT: usize = 16;

impl Readers {
    /// The receipt under a key; `None` if it is certain that there is none.
    pub(crate) fn receipt(&self, key: &ReceiptKey, known: &KnownKeys) -> Result<Option<Receipt>, StoreError> {
        let flushed = match self.overlay.receipt(key) {
            Ok(sequence) => return self.receipt_at(sequence, key),
            Err(_) if known.is_surely_new(key) => return Ok(None),
            Err(flushed) => flushed,
        };
        let hash = known.hash(key);
        let may_have = |segment| known.may_have(segment, hash);
        let found = self.in_views(flushed, |views| receipt_index::find(views, hash, may_have))?;
        let receipt = self.one_of(&found, key)?;
        if receipt.is_some() || found.is_empty() {
            return Ok(receipt);
        }
        // Those were deleted, or are of other keys with the same hash. So one more may be there, or be lost.
        let found = self.in_views(flushed, |views| receipt_index::find_all(views, hash, may_have))?;
        self.one_of(&found, key)
    }

    /// The receipt under a key, if it has one of these numbers.
    fn one_of(&self, numbers: &[Sequence], key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        for number in numbers {
            if let Some(receipt) = self.receipt_at(*number, key)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// The receipt with a number, unless it was deleted, or is another key's with the same hash. One that was lost may have been the
    /// key's.
    fn receipt_at(&self, sequence: Sequence, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        self.log.with(|log| match receipts::find(log, sequence)? {
            Some(receipt) => Ok(Some(receipt).filter(|receipt| receipt.key == *key)),
            None if accepted_losses::is_lost(log, sequence)? => {
                Err(StoreError::Corrupt(format!("the receipt number {sequence} is missing")).into())
            }
            None => Ok(None),
        })
    }

    /// The segments of the index of receipts, the newest first.
    pub(crate) fn receipt_segments(&self) -> Result<Vec<Segment>, StoreError> {
        self.in_views(self.overlay.flushed(), receipt_index::segments)
    }

    /// A part of a segment's entries, which are certain to be all of it; none if the segment has gone meanwhile.
    pub(crate) fn proven_receipts(
        &self,
        segment: Segment,
        part: usize,
    ) -> Result<Vec<ReceiptEntry>, StoreError> {
        let ranges = receipt_index::RANGES / PARTS_OF_SEGMENT;
        self.in_views(self.overlay.flushed(), |views| {
            if !receipt_index::segments(views)?.contains(&segment) {
                return Ok(Vec::new());
            }
            receipt_index::proven_entries(views, segment, part * ranges..(part + 1) * ranges)
        })
    }
}
