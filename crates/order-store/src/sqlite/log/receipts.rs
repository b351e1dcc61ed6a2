//! Receipts in the log's file. What changes them belongs between [`begin`](Log::begin) and [`commit`](Log::commit).

use order_application::{Receipt, ReceiptKey};
use order_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::receipt_row::ReceiptRow;
use crate::sqlite::log::{Log, LogError};

const INSERT: &str = "INSERT INTO receipts (key, fingerprint, order_id, version, answer, answered_at, checksum) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const IS_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM receipts WHERE key = ?1)";

const FIND: &str = "SELECT key, fingerprint, order_id, version, answer, answered_at, checksum \
    FROM receipts WHERE key = ?1";

const ALL: &str = "SELECT key, fingerprint, order_id, version, answer, answered_at, checksum \
    FROM receipts ORDER BY sequence";

const TRIM: &str = "DELETE FROM receipts WHERE sequence IN (\
    SELECT sequence FROM (SELECT sequence, answered_at FROM receipts ORDER BY sequence LIMIT ?2) \
    WHERE answered_at < ?1)";

const AFTER: &str = "SELECT key, fingerprint, order_id, version, answer, answered_at, checksum FROM receipts \
    WHERE sequence > coalesce((SELECT sequence FROM receipts WHERE key = ?1), 0) ORDER BY sequence LIMIT ?2";

impl Log {
    /// Adds a receipt, under whose key there is none.
    pub(crate) fn insert_receipt(&mut self, receipt: &Receipt) -> rusqlite::Result<()> {
        let row = ReceiptRow::of(receipt);
        let checksum = row.checksum(&mut self.scratch);
        self.connection.prepare_cached(INSERT)?.execute(params![
            row.key,
            row.fingerprint,
            row.order_id,
            row.version,
            row.answer,
            row.answered_at.as_micros(),
            checksum.as_bytes(),
        ])?;
        Ok(())
    }

    /// Whether there is a receipt under a key.
    pub(crate) fn is_key_taken(&self, key: &ReceiptKey) -> rusqlite::Result<bool> {
        self.connection.prepare_cached(IS_TAKEN)?.query_row([key.as_bytes()], |row| row.get(0))
    }

    /// Deletes those among the oldest receipts that are from before a time.
    pub(crate) fn trim_receipts(&self, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection.prepare_cached(TRIM)?.execute(params![before.as_micros(), limit])
    }
}

/// Receipts that came after one, or from the oldest on.
pub(crate) fn after(
    log: &Connection,
    after: Option<&Receipt>,
    limit: usize,
) -> Result<Vec<Receipt>, LogError> {
    let (after, limit) =
        (after.map(|receipt| receipt.key.as_bytes()), i64::try_from(limit).unwrap_or(i64::MAX));
    let mut statement = log.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![after, limit])?;
    let mut receipts = Vec::new();
    while let Some(row) = rows.next()? {
        receipts.push(read(row)?);
    }
    Ok(receipts)
}

/// Has every receipt looked at, also those that are not what was written.
pub(crate) fn visit_all(
    log: &Connection,
    visit: &mut dyn FnMut(Result<Receipt, LogError>),
) -> rusqlite::Result<()> {
    let mut statement = log.prepare(ALL)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        visit(read(row));
    }
    Ok(())
}

/// The receipt under a key.
pub(crate) fn find(log: &Connection, key: &ReceiptKey) -> Result<Option<Receipt>, LogError> {
    let mut find = log.prepare_cached(FIND)?;
    find.query_row([key.as_bytes()], |row| Ok(read(row))).optional()?.transpose()
}

fn read(row: &Row<'_>) -> Result<Receipt, LogError> {
    let receipt = ReceiptRow {
        key: row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?,
        fingerprint: row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?,
        order_id: row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?,
        version: row.get(3)?,
        answer: row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?,
        answered_at: Timestamp::from_micros(row.get(5)?),
    };
    Ok(receipt.into_receipt(row.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?)?)
}
