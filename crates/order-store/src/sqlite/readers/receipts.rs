//! Finding receipts: where one is, by overlay and views, and the row that the log has there.

use order_application::{Receipt, ReceiptKey, StoreError};

use crate::sqlite::log::accepted_losses;
use crate::sqlite::log::receipts::{self, Sequence};
use crate::sqlite::readers::Readers;
use crate::sqlite::views::known_keys::KnownKeys;
use crate::sqlite::views::receipt_index::{self, ReceiptEntry, Segment};

/// Parts that the entries of a segment are read in, each in one snapshot.
pub(crate) const PARTS_OF_SEGMENT: usize = 16;

/// What the log has at the numbers that a key's receipt may have.
enum Found {
    Receipt(Receipt),
    /// Only those of other keys.
    Others(Vec<(Sequence, ReceiptKey)>),
}

impl Found {
    /// The receipt, or none, if others have the hash that led to them. One that has not has taken the place of the key's own: it is the
    /// log that is not what was written.
    fn or_none_of(self, hash: i64, known: &KnownKeys) -> Result<Option<Receipt>, StoreError> {
        let others = match self {
            Self::Receipt(receipt) => return Ok(Some(receipt)),
            Self::Others(others) => others,
        };
        match others.iter().find(|(_, key)| known.hash(key) != hash) {
            None => Ok(None),
            Some((number, _)) => {
                let what = format!("another receipt has the number {number}, which this key's was given");
                Err(StoreError::Corrupt(what))
            }
        }
    }
}

impl Readers {
    /// The receipt under a key; `None` if it is certain that there is none.
    pub(crate) fn receipt(&self, key: &ReceiptKey, known: &KnownKeys) -> Result<Option<Receipt>, StoreError> {
        let flushed = match self.overlay.receipt(key) {
            Ok(sequence) => return self.one_of(&[sequence], key)?.or_none_of(known.hash(key), known),
            Err(_) if known.is_surely_new(key) => return Ok(None),
            Err(flushed) => flushed,
        };
        let hash = known.hash(key);
        let may_have = |segment| known.may_have(segment, hash);
        let numbers = self.in_views(flushed, |views| receipt_index::find(views, hash, may_have))?;
        if let Found::Receipt(receipt) = self.one_of(&numbers, key)? {
            return Ok(Some(receipt));
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        // Those were deleted, or are of other keys with the same hash. So one more may be there, or be lost.
        let numbers = self.in_views(flushed, |views| receipt_index::find_all(views, hash, may_have))?;
        self.one_of(&numbers, key)?.or_none_of(hash, known)
    }

    /// The receipt under a key, if it has one of these numbers.
    fn one_of(&self, numbers: &[Sequence], key: &ReceiptKey) -> Result<Found, StoreError> {
        let mut others = Vec::new();
        for number in numbers {
            match self.receipt_at(*number)? {
                Some(receipt) if receipt.key == *key => return Ok(Found::Receipt(receipt)),
                Some(other) => others.push((*number, other.key)),
                None => {}
            }
        }
        Ok(Found::Others(others))
    }

    /// The receipt with a number, unless it was deleted. One that was lost may have been any key's.
    fn receipt_at(&self, sequence: Sequence) -> Result<Option<Receipt>, StoreError> {
        self.log.with(|log| match receipts::find(log, sequence)? {
            Some(receipt) => Ok(Some(receipt)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::views::progress::ReceiptProgress;

    #[test]
    fn the_receipt_of_another_key_is_none_only_if_both_have_one_hash() {
        let known = KnownKeys::new(7, &ReceiptProgress::default());
        let [other, asked] = ["other", "asked"].map(|key| ReceiptKey::new(None, key));
        let found = || Found::Others(vec![(3, other)]);
        assert_eq!(found().or_none_of(known.hash(&other), &known), Ok(None));
        let refused = found().or_none_of(known.hash(&asked), &known);
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    }
}
