//! Receipts that are missing in the middle: damage, or files of two times, and not the deleting of old ones.
//!
//! Receipts have numbers without gaps, in the order in which they were committed, and are deleted by their age. So those
//! that came after one which is still too young to be deleted cannot have gone before it. They can if the clock was set back between
//! them, so that later ones seemed older. Then those that are there show it, mostly: their times go back across the gap, or
//! they are dated in the future. Where they do not, nothing is told.

use std::time::Duration;

use order_application::KEYS_KEPT_AT_LEAST;
use order_domain::Timestamp;
use rusqlite::Connection;

use crate::sqlite::log::receipts::{self, DatedReceipt, MAX_SEQUENCE, Sequence};

/// What is looked at when a store is opened, spread over all receipts: the start is to take no longer the more there are. A
/// check of the store looks at all.
const LOOKED_AT: u64 = 256;

/// Commands that run beside each other are dated when they begin, and numbered when they are committed.
const OUT_OF_ORDER: Duration = Duration::from_secs(60);

/// Where numbers are missing: between these two, which are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptGap {
    pub(crate) below: DatedReceipt,
    pub(crate) above: DatedReceipt,
}

impl ReceiptGap {
    fn is_gap(self) -> bool {
        self.above.sequence - self.below.sequence > 1
    }

    /// The first number that is missing.
    pub(crate) fn first(self) -> Sequence {
        self.below.sequence + 1
    }

    /// The last number that is missing.
    pub(crate) fn last(self) -> Sequence {
        self.above.sequence - 1
    }

    /// A time of a receipt in the gap with which it would be one that the deleting of old receipts may leave, now and for as long
    /// as the one below it is there.
    pub(crate) fn harmless_time(self) -> Timestamp {
        before(self.below.answered_at, OUT_OF_ORDER + Duration::from_secs(1))
    }
}

/// What tells whether a gap is of old receipts that were deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiptAges {
    now: Timestamp,
    oldest: DatedReceipt,
    newest: DatedReceipt,
}

impl ReceiptAges {
    /// Of the receipts of a log, if it has any.
    pub(crate) fn of(log: &Connection, now: Timestamp) -> rusqlite::Result<Option<Self>> {
        let ends = (receipts::first_from(log, 0)?, receipts::last_before(log, MAX_SEQUENCE)?);
        let (Some(oldest), Some(newest)) = ends else { return Ok(None) };
        // A clock that is behind would make all of them young.
        Ok(Some(Self { now: now.max(newest.answered_at), oldest, newest }))
    }

    /// Whether what is missing was too young to be deleted.
    fn is_loss(&self, gap: ReceiptGap) -> bool {
        let ReceiptGap { below, above } = gap;
        let latest = before(below.answered_at, OUT_OF_ORDER);
        let was_set_back = above.answered_at < latest || self.now < latest;
        let is_young = latest > before(self.now, KEYS_KEPT_AT_LEAST);
        // Where the last deleting ended, one may have stayed that is hardly younger than the next.
        let is_at_the_end = self.oldest.sequence > 1 && latest <= self.oldest.answered_at;
        gap.is_gap() && is_young && !is_at_the_end && !was_set_back
    }

    /// The gap that a number is in, if what is in it was lost.
    pub(crate) fn loss_at(
        &self,
        log: &Connection,
        missing: Sequence,
    ) -> rusqlite::Result<Option<ReceiptGap>> {
        let (below, above) = (receipts::last_before(log, missing)?, receipts::first_from(log, missing)?);
        let gap = below.zip(above).map(|(below, above)| ReceiptGap { below, above });
        Ok(gap.filter(|gap| self.is_loss(*gap)))
    }

    /// One of the gaps in which something was lost, as far as a look here and there tells.
    pub(crate) fn some_loss(&self, log: &Connection) -> rusqlite::Result<Option<ReceiptGap>> {
        let (first, last) = (self.oldest.sequence, self.newest.sequence);
        let step = (last - first).div_ceil(LOOKED_AT).max(1);
        let mut next = first;
        while let Some(there) = receipts::first_from(log, next)? {
            if there.sequence > next
                && let Some(gap) = self.loss_at(log, next)?
            {
                return Ok(Some(gap));
            }
            next = there.sequence + step;
        }
        Ok(None)
    }

    /// Every gap in which something was lost.
    pub(crate) fn visit_losses(
        &self,
        log: &Connection,
        visit: &mut dyn FnMut(ReceiptGap),
    ) -> rusqlite::Result<()> {
        let mut below = self.oldest;
        receipts::visit_dated(log, &mut |above| {
            let gap = ReceiptGap { below, above };
            if above.sequence > below.sequence && self.is_loss(gap) {
                visit(gap);
            }
            below = above;
        })
    }
}

fn before(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const NOW: i64 = 1_000 * 24 * HOUR;

    /// Of a receipt with a number, dated so many seconds ago.
    fn dated((sequence, seconds_ago): (Sequence, i64)) -> DatedReceipt {
        DatedReceipt { sequence, answered_at: Timestamp::from_micros((NOW - seconds_ago) * 1_000_000) }
    }

    /// Whether what is between two receipts was lost, where another is the oldest.
    fn is_loss(oldest: (Sequence, i64), below: (Sequence, i64), above: (Sequence, i64)) -> bool {
        let now = Timestamp::from_micros(NOW * 1_000_000);
        let ages = ReceiptAges { now, oldest: dated(oldest), newest: dated((1_000, 1)) };
        ages.is_loss(ReceiptGap { below: dated(below), above: dated(above) })
    }

    #[test]
    fn what_is_missing_behind_a_young_receipt_was_lost() {
        // Nothing was ever deleted, and all of it may be of one second.
        assert!(is_loss((1, 5), (9, 5), (12, 5)));
        assert!(is_loss((1, 5), (1, 5), (3, 4)));
        assert!(is_loss((500, 23 * HOUR), (700, 12 * HOUR), (710, 12 * HOUR)));
        // A command that began a little later was committed before.
        assert!(is_loss((500, 23 * HOUR), (700, 100), (710, 102)));
        assert!(!is_loss((1, 5), (9, 5), (10, 5)), "there is no gap");
    }

    #[test]
    fn what_is_missing_behind_an_old_receipt_may_have_been_deleted() {
        assert!(!is_loss((500, 30 * HOUR), (700, 25 * HOUR), (710, 20 * HOUR)));
        assert!(!is_loss((700, 24 * HOUR - 30), (700, 24 * HOUR - 30), (710, 20 * HOUR)));
        // As the last deleting before a stop leaves it, by a clock that is behind by now.
        assert!(!is_loss((700, 20 * HOUR), (703, 20 * HOUR - 2), (705, 20 * HOUR - 2)));
    }

    #[test]
    fn what_is_missing_behind_a_receipt_of_a_clock_that_was_ahead_may_have_been_deleted() {
        let two_days_ahead = -18 * HOUR;
        assert!(!is_loss((50, two_days_ahead), (60, two_days_ahead), (101, HOUR)));
        let twenty_hours_ahead = 10 * HOUR;
        assert!(!is_loss((50, twenty_hours_ahead), (60, twenty_hours_ahead), (101, 15 * HOUR)));
        assert!(!is_loss((50, twenty_hours_ahead), (60, twenty_hours_ahead), (101, 10 * HOUR + 120)));
    }
}
