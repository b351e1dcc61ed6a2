//! What is missing between rows of the log's file that are there, and what of it was accepted.
//!
//! Positions and receipts' numbers come without gaps, and old receipts are only deleted from the first on. So whatever is missing
//! in the middle was lost. Each statement looks at one state of the file: what is being deleted meanwhile is no gap.

use order_application::Position;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::sqlite::log::Log;
use crate::sqlite::log::receipts::{self, Sequence};
use crate::sqlite_error::SqliteError;

/// Numbers of receipts that are missing between two that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptGap {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
}

/// Numbers that are looked at in one transaction beside the writer.
const LOOKED_AT_ONCE: u64 = 20_000;
/// The newest receipts, which are all looked at when a store is opened.
const NEWEST: u64 = 10_000;
/// Look-ups beside these, spread over all of them: the start is to take no longer the more there are.
const SPREAD: u64 = 256;

/// Gaps below receipts with numbers in a range, but for those that were accepted.
macro_rules! missing_receipts {
    () => {
        "SELECT first, last FROM ( \
             SELECT (SELECT max(sequence) FROM receipts WHERE sequence < above.sequence) + 1 AS first, \
                 above.sequence - 1 AS last \
             FROM receipts AS above WHERE above.sequence > ?1 AND above.sequence <= ?2 \
                 AND NOT EXISTS (SELECT 1 FROM receipts WHERE sequence = above.sequence - 1) \
         ) AS gap \
         WHERE first <= last AND NOT EXISTS ( \
             SELECT 1 FROM accepted_losses AS accepted \
             WHERE what = 'receipts' AND accepted.first <= gap.first AND accepted.last >= gap.last)"
    };
}

const MISSING_RECEIPTS: &str = missing_receipts!();
const ACCEPT_RECEIPTS: &str = concat!(
    "INSERT OR REPLACE INTO accepted_losses SELECT 'receipts', first, last FROM (",
    missing_receipts!(),
    ")"
);
/// Of events those before the first are missing, too.
const ACCEPT_EVENTS: &str = "INSERT OR REPLACE INTO accepted_losses \
    SELECT 'events', coalesce((SELECT max(position) FROM events WHERE position < above.position), 0) + 1, above.position - 1 \
    FROM events AS above WHERE above.position > 1 \
        AND NOT EXISTS (SELECT 1 FROM events WHERE position = above.position - 1)";

const IS_ACCEPTED: &str =
    "SELECT 1 FROM accepted_losses WHERE what = 'events' AND first <= ?1 AND last >= ?1";

const FIRST_FROM: &str = "SELECT min(sequence) FROM receipts WHERE sequence >= ?1";
const IS_LOST: &str = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM receipts WHERE sequence = ?1) \
    AND ?1 > (SELECT min(sequence) FROM receipts) \
    AND NOT EXISTS (SELECT 1 FROM accepted_losses WHERE what = 'receipts' AND first <= ?1 AND last >= ?1)";

/// What is to be taken back if the store cannot be opened all the same.
const KEEP_BEFORE: &str = "CREATE TEMP TABLE accepted_before AS SELECT * FROM main.accepted_losses";
const TAKE_BACK: &str =
    "DELETE FROM main.accepted_losses; INSERT INTO main.accepted_losses SELECT * FROM accepted_before";
const FORGET_BEFORE: &str = "DROP TABLE temp.accepted_before";

/// What was missing between rows that are gone themselves: their numbers, and those below, are given again.
const FORGET_BEYOND_END: &str = "DELETE FROM accepted_losses WHERE last > CASE what \
    WHEN 'events' THEN coalesce((SELECT max(position) FROM events), 0) \
    ELSE coalesce((SELECT max(sequence) FROM receipts), 0) END";

impl ReceiptGap {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { first: row.get(0)?, last: row.get(1)? })
    }
}

/// The first receipts that were lost below one with a number above `after` and up to `up_to`.
pub(crate) fn missing_receipts(
    log: &Connection,
    after: Sequence,
    up_to: Sequence,
) -> rusqlite::Result<Option<ReceiptGap>> {
    let mut missing = log.prepare_cached(MISSING_RECEIPTS)?;
    missing.query_row([after, up_to], ReceiptGap::read).optional()
}

/// Has all receipts looked at that were lost.
pub(crate) fn visit_missing_receipts(
    log: &Connection,
    visit: &mut dyn FnMut(ReceiptGap),
) -> rusqlite::Result<()> {
    let mut statement = log.prepare(MISSING_RECEIPTS)?;
    let mut rows = statement.query([0, receipts::MAX_SEQUENCE])?;
    while let Some(row) = rows.next()? {
        visit(ReceiptGap::read(row)?);
    }
    Ok(())
}

/// What a look at some numbers says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptLook {
    /// These were lost.
    Missing(ReceiptGap),
    /// None was lost up to this number.
    AllThereTo(Sequence),
    /// None was lost, and there are no more.
    End,
}

/// Looks at some numbers after one: for whoever looks at all of them beside the writer, in transactions that are short.
pub(crate) fn look_after(log: &Connection, after: Sequence) -> rusqlite::Result<ReceiptLook> {
    let oldest = receipts::oldest(log)?.unwrap_or_default();
    let up_to = oldest.max(after).saturating_add(LOOKED_AT_ONCE).min(receipts::MAX_SEQUENCE);
    let is_last = up_to >= receipts::newest(log)?.unwrap_or_default();
    let missing = missing_receipts(log, after, up_to)?;
    let there = if is_last { ReceiptLook::End } else { ReceiptLook::AllThereTo(up_to) };
    Ok(missing.map_or(there, ReceiptLook::Missing))
}

/// Some that were lost, as far as a look at the newest and here and there at the others tells.
pub(crate) fn some_missing_receipts(log: &Connection) -> rusqlite::Result<Option<ReceiptGap>> {
    let ends = (receipts::oldest(log)?, receipts::newest(log)?);
    let (Some(oldest), Some(newest)) = ends else { return Ok(None) };
    let found = missing_receipts(log, newest.saturating_sub(NEWEST), newest)?;
    if found.is_some() {
        return Ok(found);
    }
    let step = (newest - oldest).div_ceil(SPREAD).max(1);
    let mut first_from = log.prepare_cached(FIRST_FROM)?;
    let mut next = oldest;
    while let Some(there) = first_from.query_row([next], |row| row.get::<_, Option<Sequence>>(0))? {
        let found = missing_receipts(log, there.saturating_sub(1), there)?;
        if found.is_some() {
            return Ok(found);
        }
        next = there.saturating_add(step);
    }
    Ok(None)
}

/// Whether there are more receipts than are all looked at when a store is opened.
pub(crate) fn has_more_than_newest(log: &Connection) -> rusqlite::Result<bool> {
    let (oldest, newest) =
        (receipts::oldest(log)?.unwrap_or_default(), receipts::newest(log)?.unwrap_or_default());
    Ok(newest.saturating_sub(oldest) > NEWEST)
}

/// Whether the receipt with a number was lost: it is not there, and was not deleted when its time was over.
pub(crate) fn is_lost(log: &Connection, sequence: Sequence) -> rusqlite::Result<bool> {
    log.prepare_cached(IS_LOST)?.exists([sequence])
}

/// Whether it was accepted that the log has lost the event at a position.
pub(crate) fn is_accepted(log: &Connection, position: Position) -> rusqlite::Result<bool> {
    log.prepare_cached(IS_ACCEPTED)?.exists([position.0])
}

impl Log {
    /// Forgets what was accepted beyond the end: what comes there is not what was lost.
    pub(crate) fn forget_losses_beyond_end(&self) -> rusqlite::Result<usize> {
        self.connection().execute(FORGET_BEYOND_END, ())
    }

    /// Accepts that whatever is missing in the middle is lost. Answers with how many gaps there were.
    pub(crate) fn accept_losses(&self) -> rusqlite::Result<usize> {
        self.begin()?;
        let receipts = self.connection().execute(ACCEPT_RECEIPTS, [0, receipts::MAX_SEQUENCE])?;
        let events = self.connection().execute(ACCEPT_EVENTS, ())?;
        self.commit()?;
        Ok(receipts + events)
    }

    /// Does something with what is missing accepted. If it fails, nothing was: otherwise the next start, for which nobody accepts a
    /// loss, would be told of none.
    pub(crate) fn with_losses_accepted<T>(
        &self,
        attempt: impl FnOnce(usize) -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        let failed = SqliteError::sqlite(self.path());
        self.connection().execute_batch(KEEP_BEFORE).map_err(&failed)?;
        let attempted = attempt(self.accept_losses().map_err(&failed)?);
        if attempted.is_err() {
            self.take_back_losses().map_err(&failed)?;
        }
        self.connection().execute_batch(FORGET_BEFORE).map_err(failed)?;
        attempted
    }

    fn take_back_losses(&self) -> rusqlite::Result<()> {
        self.begin()?;
        self.connection().execute_batch(TAKE_BACK)?;
        self.commit()
    }
}
