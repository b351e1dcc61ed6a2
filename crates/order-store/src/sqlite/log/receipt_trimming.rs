//! Deleting receipts when their time is over: a run of them from the first on, so that the numbers of those that stay have no gap,
//! and whatever is missing between them was lost.
//!
//! Times do not just ascend with the numbers: a clock may have been ahead for a while. What it has dated in the future goes
//! together with the next old one, and everything waits for one that is neither old nor of the future.

use order_application::{ReceiptAge, Trimmed};
use order_domain::Timestamp;
use rusqlite::params;

use crate::sqlite::log::Log;
use crate::sqlite::log::receipts::{Sequence, as_limit};

/// The newest stays, so that its number is known and the next one is higher.
const LOOK: &str = "SELECT sequence, answered_at FROM receipts \
    WHERE sequence > ?1 AND sequence < (SELECT max(sequence) FROM receipts) ORDER BY sequence LIMIT ?2";

const FIRST_UP_TO: &str = "SELECT coalesce(max(sequence), ?1) FROM \
    (SELECT sequence FROM receipts WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2)";

const DELETE: &str = "DELETE FROM receipts WHERE sequence <= ?1";

/// How far those who delete old receipts have come.
#[derive(Debug, Default)]
pub(super) struct ReceiptTrimming {
    /// All up to here that are there are old or of the future.
    looked_at: Sequence,
    /// Up to here they are to be deleted: this one is old. 0: none is.
    last_old: Sequence,
    /// What was old when they were looked at.
    before: Option<Timestamp>,
    /// From then on one of them is not of the future any more.
    future_until: Option<Timestamp>,
}

impl ReceiptTrimming {
    /// Forgets what is not so any more: the clock was set back, or the future has come.
    fn bring_up(&mut self, age: ReceiptAge) {
        let was_set_back = self.before.is_some_and(|before| age.before < before);
        let has_come = self.future_until.is_some_and(|until| !age.is_of_future(until));
        if was_set_back || has_come {
            *self = Self::default();
        }
        self.before = Some(age.before);
    }

    /// Whether a receipt may go with one that comes after it.
    fn add(&mut self, sequence: Sequence, answered_at: Timestamp, age: ReceiptAge) -> bool {
        if age.is_old(answered_at) {
            self.last_old = sequence;
        } else if age.is_of_future(answered_at) {
            self.future_until = Some(self.future_until.map_or(answered_at, |until| until.min(answered_at)));
        } else {
            return false;
        }
        self.looked_at = sequence;
        true
    }
}

impl Log {
    /// Deletes some of the oldest receipts, if there are old ones.
    pub(crate) fn trim_receipts(&mut self, age: ReceiptAge, limit: usize) -> rusqlite::Result<Trimmed> {
        self.trimming.bring_up(age);
        // What is to be deleted already comes first.
        let mut more = self.trimming.last_old > 0 || self.look_on(age, limit)?;
        let last_old = self.trimming.last_old;
        if last_old == 0 {
            return Ok(Trimmed { receipts: 0, more });
        }
        let mut first = self.connection.prepare_cached(FIRST_UP_TO)?;
        let up_to = first.query_row(params![last_old, as_limit(limit)], |row| row.get::<_, Sequence>(0))?;
        let receipts = self.connection.prepare_cached(DELETE)?.execute([up_to])?;
        if up_to == last_old {
            self.trimming.last_old = 0;
        } else {
            more = true;
        }
        Ok(Trimmed { receipts, more })
    }

    /// Looks at some more receipts. Answers whether it may go on behind them.
    fn look_on(&mut self, age: ReceiptAge, limit: usize) -> rusqlite::Result<bool> {
        let mut look = self.connection.prepare_cached(LOOK)?;
        let mut rows = look.query(params![self.trimming.looked_at, as_limit(limit)])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            if !self.trimming.add(row.get(0)?, Timestamp::from_micros(row.get(1)?), age) {
                return Ok(false);
            }
            looked_at += 1;
        }
        Ok(looked_at == limit)
    }

    /// What was deleted last may still be there.
    pub(crate) fn look_at_receipts_again(&mut self) {
        self.trimming = ReceiptTrimming::default();
    }
}
