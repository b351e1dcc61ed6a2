//! Receipts in the log's file: rows that are only added at its end, and deleted at its beginning. Where the receipt of a key
//! is, the views know. What changes receipts belongs between [`begin`](Log::begin) and [`commit`](Log::commit).

use order_application::Receipt;
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
    FROM receipts WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

const KEYS_AFTER: &str = "SELECT sequence, key FROM receipts WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

/// The newest stays, so that its number is known and the next one is higher.
const TRIM: &str = "DELETE FROM receipts WHERE sequence IN (\
    SELECT sequence FROM (SELECT sequence, answered_at FROM receipts ORDER BY sequence LIMIT ?2) \
    WHERE answered_at < ?1) AND sequence < (SELECT max(sequence) FROM receipts)";

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

    /// Deletes those among the oldest receipts that are from before a time.
    pub(crate) fn trim_receipts(&self, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(TRIM)?.execute(params![before.as_micros(), as_limit(limit)])
    }
}

/// The receipt with a number, if it was not deleted.
pub(crate) fn find(log: &Connection, sequence: Sequence) -> Result<Option<Receipt>, LogError> {
    let mut find = log.prepare_cached(FIND)?;
    find.query_row([sequence], |row| Ok(read(row))).optional()?.transpose()
}

/// Receipts that came after a number, and the number of the last of them.
pub(crate) fn after(
    log: &Connection,
    after: Sequence,
    limit: usize,
) -> Result<(Vec<Receipt>, Option<Sequence>), LogError> {
    let mut statement = log.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![after, as_limit(limit)])?;
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
    let mut rows = statement.query(params![0, i64::MAX])?;
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
