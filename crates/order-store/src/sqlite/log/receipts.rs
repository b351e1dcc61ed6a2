//! Receipts in the log's file: rows that are only added at its end, and deleted at its beginning. Where the receipt of a key
//! is, the views know. What changes receipts belongs between [`begin`](Log::begin) and [`commit`](Log::commit).

use order_application::{Receipt, Trimmed};
use order_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::receipt_row::ReceiptRow;
use crate::sqlite::log::{Log, LogError};

/// A receipt's number in its log, from 1 on. It never comes again.
pub(crate) type Sequence = u64;

const INSERT: &str = "INSERT INTO receipts (key, fingerprint, order_id, version, answer, answered_at, checksum) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const FIND: &str = "SELECT sequence, key, fingerprint, order_id, version, answer, answered_at, checksum \
    FROM receipts WHERE sequence = ?1";

const AFTER: &str = "SELECT sequence, key, fingerprint, order_id, version, answer, answered_at, checksum \
    FROM receipts WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3";

const KEYS_AFTER: &str = "SELECT sequence, key FROM receipts WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

/// Up to where some that follow on a number go, and how many they are.
const SOME: &str = "SELECT coalesce(max(sequence), 0), count(*) FROM \
    (SELECT sequence FROM receipts WHERE sequence > ?1 ORDER BY sequence LIMIT ?2)";

/// The newest stays, so that its number is known and the next one is higher.
const TRIM: &str = "DELETE FROM receipts WHERE sequence > ?1 AND sequence <= ?2 AND answered_at < ?3 \
    AND sequence < (SELECT max(sequence) FROM receipts)";

const ANSWERED_FROM: &str = "SELECT answered_at FROM receipts WHERE sequence >= ?1 ORDER BY sequence LIMIT 1";

const OLDEST: &str = "SELECT min(sequence) FROM receipts";
const NEWEST: &str = "SELECT max(sequence) FROM receipts";

impl Log {
    /// Adds a receipt, under whose key there is none, and answers with its number.
    pub(crate) fn insert_receipt(&mut self, receipt: &Receipt) -> rusqlite::Result<Sequence> {
        let row = ReceiptRow::of(receipt);
        let checksum = row.checksum(&mut self.scratch);
        let sequence = self.connection.prepare_cached(INSERT)?.insert(params![
            row.key,
            row.fingerprint,
            row.order_id,
            row.version,
            row.answer,
            row.answered_at.as_micros(),
            checksum.as_bytes(),
        ])?;
        Ok(sequence.cast_unsigned())
    }

    /// Deletes those of some receipts that are from before a time, and goes on with the next ones as long as any of those may
    /// be. Times do not just ascend: a clock may have been ahead for a while.
    pub(crate) fn trim_receipts(&mut self, before: Timestamp, limit: usize) -> rusqlite::Result<Trimmed> {
        let from = self.not_trimmed_up_to;
        let mut some = self.connection.prepare_cached(SOME)?;
        let (last, looked_at): (Sequence, usize) =
            some.query_row(params![from, as_limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        drop(some);
        let mut trim = self.connection.prepare_cached(TRIM)?;
        let receipts = trim.execute(params![from, last, before.as_micros()])?;
        drop(trim);
        let more = looked_at == limit && (receipts > 0 || self.has_older_beyond(last, before)?);
        self.not_trimmed_up_to = if more { last } else { 0 };
        Ok(Trimmed { receipts, more })
    }

    /// Whether some receipt after a number is from before a time, as far as a few of them tell, ever further apart.
    fn has_older_beyond(&self, last: Sequence, before: Timestamp) -> rusqlite::Result<bool> {
        let mut answered = self.connection.prepare_cached(ANSWERED_FROM)?;
        let mut distance = 1;
        while let Some(sequence) = last.checked_add(distance)
            && let Ok(sequence) = i64::try_from(sequence)
            && let Some(at) = answered.query_row([sequence], |row| row.get::<_, i64>(0)).optional()?
        {
            if at < before.as_micros() {
                return Ok(true);
            }
            distance *= 2;
        }
        Ok(false)
    }
}

/// The receipt with a number, if it was not deleted.
pub(crate) fn find(log: &Connection, sequence: Sequence) -> Result<Option<Receipt>, LogError> {
    let mut find = log.prepare_cached(FIND)?;
    find.query_row([sequence], |row| Ok(read(row))).optional()?.transpose()
}

/// No receipt's number is higher.
pub(crate) const MAX_SEQUENCE: Sequence = i64::MAX.cast_unsigned();

/// Receipts that came after a number, up to another, and the number of the last of them.
pub(crate) fn after(
    log: &Connection,
    after: Sequence,
    up_to: Sequence,
    limit: usize,
) -> Result<(Vec<Receipt>, Option<Sequence>), LogError> {
    let mut statement = log.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![after, up_to, as_limit(limit)])?;
    let (mut receipts, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        receipts.push(read(row)?);
    }
    Ok((receipts, last))
}

/// Has every receipt looked at, also those that are not what was written.
pub(crate) fn visit_all(
    log: &Connection,
    visit: &mut dyn FnMut(Result<Receipt, LogError>),
) -> rusqlite::Result<()> {
    let mut statement = log.prepare(AFTER)?;
    let mut rows = statement.query(params![0, MAX_SEQUENCE, i64::MAX])?;
    while let Some(row) = rows.next()? {
        visit(read(row));
    }
    Ok(())
}

/// Has the keys of receipts looked at that came after a number, as they stand there. Answers with how many they are.
pub(crate) fn visit_keys(
    log: &Connection,
    after: Sequence,
    limit: usize,
    visit: &mut dyn FnMut(Sequence, &[u8]),
) -> rusqlite::Result<usize> {
    let mut statement = log.prepare_cached(KEYS_AFTER)?;
    let mut rows = statement.query(params![after, as_limit(limit)])?;
    let mut visited = 0;
    while let Some(row) = rows.next()? {
        visit(row.get(0)?, row.get_ref(1)?.as_bytes().unwrap_or_default());
        visited += 1;
    }
    Ok(visited)
}

/// The number of the oldest receipt. All before it were deleted.
pub(crate) fn oldest(log: &Connection) -> rusqlite::Result<Option<Sequence>> {
    log.prepare_cached(OLDEST)?.query_row((), |row| row.get(0))
}

/// The number of the newest receipt.
pub(crate) fn newest(log: &Connection) -> rusqlite::Result<Option<Sequence>> {
    log.prepare_cached(NEWEST)?.query_row((), |row| row.get(0))
}

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> Result<Receipt, LogError> {
    let receipt = ReceiptRow {
        key: row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?,
        fingerprint: row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?,
        order_id: row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?,
        version: row.get(4)?,
        answer: row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?,
        answered_at: Timestamp::from_micros(row.get(6)?),
    };
    Ok(receipt.into_receipt(row.get_ref(7)?.as_blob().map_err(rusqlite::Error::from)?)?)
}
