//! What becomes of what knows of events that the log does not have, if that is accepted: it gives way, as far as it would keep
//! others from going on or answer somebody. All other views are rebuilt beside serving, as after an upgrade.

use order_application::{Receipt, StoreError};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::{PLANS, PostgresLoss, find};
use crate::postgres::database::{Database, NO_DEADLINES};
use crate::postgres::row::read_receipt;
use crate::postgres::server_failure::ServerFailure;
use crate::postgres::servers::Object;
use crate::postgres::views::delete_beyond_end;
use crate::postgres::{PostgresFault, refused};

/// Followers that have gone beyond the end of the log would never go on. Their leases stay.
const FORGET_CHECKPOINTS: &str = "\
    UPDATE order_service.checkpoints SET position = NULL, evidence = NULL \
    WHERE position > (SELECT coalesce(max(position), 0) FROM order_service.events) RETURNING name";

/// Of those after one, some of whose orders the log lacks an event.
const LOST_RECEIPTS: &str = "\
    SELECT r.key, r.fingerprint, r.order_id, r.version, r.answer, r.answered_at, r.checksum \
        FROM order_service.receipts r \
        LEFT JOIN LATERAL (SELECT e.position FROM order_service.events e \
            WHERE e.order_id = r.order_id AND e.version = 1 LIMIT 1) b ON true \
        WHERE r.key > $1 AND r.version > coalesce((SELECT e.version FROM order_service.events e \
            WHERE e.order_key = b.position ORDER BY e.version DESC LIMIT 1), 0) \
        ORDER BY r.key LIMIT $2";
const RECEIPTS_AT_ONCE: i64 = 2_000;

const DELETE_RECEIPTS: &str = "DELETE FROM order_service.receipts WHERE key = ANY($1)";

/// All views are looked at once more, from the first event on.
const REBUILD_ALL: &str = "UPDATE order_service.log SET outdated_from = 1";

/// Makes what knows of more give way, and tells it.
pub(super) async fn accept(database: &Database, losses: Vec<PostgresLoss>) -> Result<(), PostgresFault> {
    if losses.is_empty() {
        return Ok(());
    }
    for loss in &losses {
        tracing::warn!(%loss, "events are missing, and it is accepted");
    }
    let mut connection = database.connect().await?;
    connection.query_typed(REBUILD_ALL, &[]).await.map_err(refused("accept a loss"))?;
    forget_checkpoints(&connection).await.map_err(refused("accept a loss"))?;
    delete_receipts(&mut connection).await.map_err(refused("accept a loss"))?;
    let failed = |error: StoreError| PostgresFault::Refused {
        doing: "accept a loss",
        why: ServerFailure::for_good(error.to_string()),
    };
    // The database has as few connections as it needs here.
    drop(connection);
    delete_beyond_end(database).await.map_err(failed)?;
    for loss in find(&mut database.connect().await?).await? {
        tracing::warn!(%loss, "this is left until the views are rebuilt");
    }
    Ok(())
}

async fn forget_checkpoints(connection: &Object) -> Result<(), Error> {
    for row in connection.query_typed(FORGET_CHECKPOINTS, &[]).await? {
        let name: String = row.try_get(0)?;
        tracing::warn!(name, "a checkpoint beyond the end of the log is forgotten");
    }
    Ok(())
}

/// Deletes all receipts whose events are lost: commands that are sent again are carried out then.
async fn delete_receipts(connection: &mut Object) -> Result<(), Error> {
    let (mut after, mut deleted) = (Vec::new(), 0);
    loop {
        let transaction = connection.transaction().await?;
        transaction.batch_execute(NO_DEADLINES).await?;
        transaction.batch_execute(PLANS).await?;
        let parameters = [(&after as _, Type::BYTEA), (&RECEIPTS_AT_ONCE as _, Type::INT8)];
        let rows = transaction.query_typed(LOST_RECEIPTS, &parameters).await?;
        let Some(last) = rows.last() else { break };
        let next: Vec<u8> = last.try_get(0)?;
        // A damaged one answers nobody, and stays for `verify` to tell.
        let lost: Vec<Receipt> = rows.iter().filter_map(|row| read_receipt(row).ok()).collect();
        let keys: Vec<&[u8]> = lost.iter().map(|receipt| receipt.key.as_bytes().as_slice()).collect();
        deleted += transaction.execute_typed(DELETE_RECEIPTS, &[(&keys, Type::BYTEA_ARRAY)]).await?;
        transaction.commit().await?;
        after = next;
    }
    if deleted > 0 {
        tracing::warn!(receipts = deleted, "receipts whose events are missing were deleted");
    }
    Ok(())
}
