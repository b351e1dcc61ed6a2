//! Receipts: one row for each key. Those that come with events are written by `order_service.append_v2`.
//!
//! A statement whose answer got lost is sent again, which does no harm: a receipt that is there stays.

use async_trait::async_trait;
use order_application::{EventLog, Receipt, ReceiptAge, ReceiptKey, Receipts, StoreError, Trimmed};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{Column, parameters, receipt_columns};
use super::row::{read_receipt, receipt_columns as columns, system_time};
use super::{PostgresStore, loss};

const FIND: &str = concat!("SELECT ", columns!(), " FROM order_service.receipts WHERE key = $1");

pub(super) const KEEP: &str = concat!(
    "INSERT INTO order_service.receipts (",
    columns!(),
    ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (key) DO NOTHING"
);

/// For whoever checks them.
pub(super) const ALL: &str = concat!("SELECT ", columns!(), " FROM order_service.receipts");

/// For whoever copies them: those that came after one, by its time and key, or from the oldest on.
pub(super) const AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM order_service.receipts WHERE $1::timestamptz IS NULL OR (answered_at, key) > ($1, $2) \
     ORDER BY answered_at, key LIMIT $3"
);

/// Rows that are just being deleted by another instance are left to it. What is old is not for an instance alone to say, whose
/// clock may be ahead: those of all would be gone.
const TRIM: &str = "\
    WITH old AS (\
        SELECT key FROM order_service.receipts \
        WHERE answered_at < least($1, now() - $3 * interval '1 microsecond') ORDER BY answered_at LIMIT $2 \
        FOR UPDATE SKIP LOCKED\
    ), trimmed AS (\
        DELETE FROM order_service.receipts r USING old WHERE r.key = old.key RETURNING 1\
    ) \
    SELECT count(*) FROM trimmed";

/// Longer than anybody keeps them, and not too long for PostgreSQL to reckon with: a thousand years.
const LONGEST_KEPT_MICROS: i64 = 1_000 * 366 * 86_400 * 1_000_000;

#[async_trait]
impl Receipts for PostgresStore {
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        let rows = self.reads.query(FIND, &[(&key.as_bytes().as_slice(), Type::BYTEA)]).await?;
        let Some(receipt) = rows.first().map(|row: &Row| read_receipt(row)).transpose()? else {
            return Ok(None);
        };
        // What was acknowledged with it is in the log, or the log has lost it.
        let found = self.version(&receipt.order_id).await?;
        if found < receipt.version {
            return Err(StoreError::Corrupt(loss::lost_event(&receipt, found)));
        }
        Ok(Some(receipt))
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        let columns: [Column<'_>; 7] = receipt_columns([&receipt]);
        self.reads.query(KEEP, &parameters(&columns)).await?;
        drop(columns);
        Ok(self.find_receipt(&receipt.key).await?.unwrap_or(receipt))
    }

    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let kept_micros = age.now.as_micros().saturating_sub(age.before.as_micros()).min(LONGEST_KEPT_MICROS);
        let parameters = [
            (&system_time(age.before) as _, Type::TIMESTAMPTZ),
            (&most as _, Type::INT8),
            (&kept_micros as _, Type::INT8),
        ];
        let trimmed: i64 = self.reads.query_value(TRIM, &parameters).await?;
        let receipts = usize::try_from(trimmed).unwrap_or_default();
        Ok(Trimmed { receipts, more: receipts == limit })
    }
}
