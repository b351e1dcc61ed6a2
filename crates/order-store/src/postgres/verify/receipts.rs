//! Receipts, by themselves and against the orders that the log makes.

use std::pin::pin;

use futures_util::TryStreamExt;
use order_application::Version;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use crate::postgres::row::{read_receipt, receipt_columns as columns};
use crate::postgres::{loss, receipts};
use crate::verify::{CheckedOrders, Findings, Part};

const RECEIPTS_OF_PART: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM order_service.receipts WHERE (hashtextextended(order_id, 0) & 9223372036854775807) % $2 = $1"
);

/// That each is what was written.
pub(super) async fn check(snapshot: &Transaction<'_>, findings: &mut Findings<'_>) -> Result<(), Error> {
    let nothing: [(i64, Type); 0] = [];
    let mut rows = pin!(snapshot.query_typed_raw(receipts::ALL, nothing).await?);
    while let Some(row) = rows.try_next().await? {
        if let Err(error) = read_receipt(&row) {
            findings.fault(error.to_string());
        }
    }
    Ok(())
}

/// That the orders of a part have the events that receipts are of: these were committed together.
pub(super) async fn check_events(
    snapshot: &Transaction<'_>,
    part: Part,
    orders: &CheckedOrders,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let numbers = [part.number, part.of].map(u64::cast_signed);
    let parameters = numbers.iter().map(|number| (number, Type::INT8));
    let mut rows = pin!(snapshot.query_typed_raw(RECEIPTS_OF_PART, parameters).await?);
    while let Some(row) = rows.try_next().await? {
        // What cannot be read was told with all receipts.
        let Ok(receipt) = read_receipt(&row) else { continue };
        let found = match orders.by_id.get(&receipt.order_id) {
            Some(order) => order.version(),
            None => Some(Version::NONE),
        };
        if let Some(found) = found.filter(|found| *found < receipt.version) {
            findings.fault(loss::lost_event(&receipt, found));
        }
    }
    Ok(())
}
