//! Receipts in the log's file: rows that are only added at its end, and deleted at its beginning (`receipt_trimming.rs`). Where the
//! receipt of a key is, the views know. What changes receipts belongs between [`begin`](Log::begin) and [`commit`](Log::commit).

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
    FROM receipts WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3";

const KEYS_AFTER: &str = "SELECT sequence, key FROM receipts WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

/// The newest first.
const NEWEST_ONES: &str = "SELECT sequence, key, fingerprint, order_id, version, answer, answered_at, checksum \
    FROM receipts ORDER BY sequence DESC LIMIT ?1";

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

    /// Deletes receipts whose events are lost, and has the gaps that they leave told to nobody.
    pub(crate) fn delete_lost_receipts(&self, numbers: &[Sequence]) -> rusqlite::Result<usize> {
        self.begin()?;
        let mut delete = self.connection.prepare_cached("DELETE FROM receipts WHERE sequence = ?1")?;
        for number in numbers {
            delete.execute([number])?;
        }
        drop(delete);
        self.commit()?;
        self.accept_losses()?;
        Ok(numbers.len())
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

/// The newest receipts, as far as they are what was written, the newest first.
pub(crate) fn newest_ones(log: &Connection, limit: usize) -> rusqlite::Result<Vec<Receipt>> {
    let mut statement = log.prepare_cached(NEWEST_ONES)?;
    let mut rows = statement.query([as_limit(limit)])?;
    let mut receipts = Vec::new();
    while let Some(row) = rows.next()? {
        receipts.extend(read(row).ok());
    }
    Ok(receipts)
}

/// Receipts that came after a number, with their numbers; `None` for one that is not what was written.
pub(crate) fn numbered_after(
    log: &Connection,
    after: Sequence,
    limit: usize,
) -> rusqlite::Result<Vec<(Sequence, Option<Receipt>)>> {
    let mut statement = log.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![after, MAX_SEQUENCE, as_limit(limit)])?;
    let mut receipts = Vec::new();
    while let Some(row) = rows.next()? {
        receipts.push((row.get(0)?, read(row).ok()));
    }
    Ok(receipts)
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

/// Has those receipts looked at that are of some orders, by the ids that they have there, and are what was written.
pub(crate) fn visit_some(
    log: &Connection,
    is_of_some: impl Fn(&[u8]) -> bool,
    visit: &mut dyn FnMut(Receipt),
) -> rusqlite::Result<()> {
    let mut statement = log.prepare(AFTER)?;
    let mut rows = statement.query(params![0, MAX_SEQUENCE, i64::MAX])?;
    while let Some(row) = rows.next()? {
        // Whoever goes through all of them once for each part of the orders reads few of them whole.
        if row.get_ref(3)?.as_bytes().is_ok_and(&is_of_some)
            && let Ok(receipt) = read(row)
        {
            visit(receipt);
        }
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

pub(super) fn as_limit(limit: usize) -> i64 {
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
