//! Receipts held against the log: each is committed together with the events that it is of, or after them.

use deadpool_postgres::Transaction;
use order_application::{Receipt, Version};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::PostgresLoss;
use crate::postgres::row::read_receipt;

/// What is looked at when a store is opened: an end that was lost has the newest. `verify` looks at all.
const LOOKED_AT: i64 = 256;

/// The newest of those, of whose orders the log lacks an event.
const NEWEST_LOST: &str = "\
    SELECT r.key, r.fingerprint, r.order_id, r.version, r.answer, r.answered_at, r.checksum \
        FROM (SELECT * FROM order_service.receipts ORDER BY answered_at DESC LIMIT $1) r \
        LEFT JOIN LATERAL (SELECT e.position FROM order_service.events e \
            WHERE e.order_id = r.order_id AND e.version = 1 LIMIT 1) b ON true \
        WHERE r.version > coalesce((SELECT e.version FROM order_service.events e \
            WHERE e.order_key = b.position ORDER BY e.version DESC LIMIT 1), 0) \
        ORDER BY r.answered_at DESC";

/// What the newest receipts know of and the log does not have. Of one that is damaged nothing follows.
pub(super) async fn losses(snapshot: &Transaction<'_>) -> Result<Option<PostgresLoss>, Error> {
    let rows = snapshot.query_typed(NEWEST_LOST, &[(&LOOKED_AT, Type::INT8)]).await?;
    let lost: Vec<Receipt> = rows.iter().filter_map(|row| read_receipt(row).ok()).collect();
    Ok(lost.first().map(|receipt| PostgresLoss::MissingEvent {
        order_id: receipt.order_id.clone(),
        version: receipt.version,
        receipts: lost.len(),
    }))
}

/// What is wrong with a receipt that is of an event which the log does not have. It answers nobody.
pub(in crate::postgres) fn lost_event(receipt: &Receipt, found: Version) -> String {
    let Receipt { order_id, version, .. } = receipt;
    format!(
        "a receipt is of a command that brought order {order_id} to version {version}, and in the log it has version {found}"
    )
}
