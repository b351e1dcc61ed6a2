//! Views against the orders that the log makes.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use order_application::{OrderView, error_chain};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, Transaction};

use super::Part;
use super::scan::{SAVEPOINT, go_on, is_about_rows};
use crate::postgres::projection;
use crate::postgres::row::{StoredView, order_columns, read_order};
use crate::verify::{Partition, VerifyReport, difference};

const VIEWS_OF_PARTITION: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM order_service.orders o WHERE (hashtextextended(o.order_id, 0) & 9223372036854775807) % $2 = $1"
);

const VIEW_WITH_KEY: &str =
    concat!("SELECT ", order_columns!(), " FROM order_service.orders o WHERE o.key = $1");

/// The index of the order's id among the columns.
const ORDER_ID: usize = 1;

/// Every view is the fold of its order, every order has one, and no view is of an order that the log does not have.
pub(super) async fn check(
    snapshot: &Transaction<'_>,
    part: Part,
    partition: &mut Partition,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    snapshot.batch_execute(SAVEPOINT).await?;
    let parameters = [(&part.number, Type::INT8), (&part.of, Type::INT8)];
    let mut rows = Box::pin(snapshot.query_typed_raw(VIEWS_OF_PARTITION, parameters).await?);
    let failed = loop {
        match rows.try_next().await {
            Ok(Some(row)) => check_view(&row, partition, report)?,
            Ok(None) => break false,
            Err(error) if is_about_rows(&error) => break true,
            Err(error) => return Err(error),
        }
    };
    if failed {
        go_on(snapshot).await?;
        check_one_by_one(snapshot, partition, report).await?;
    }
    for (order_id, _) in partition.orders() {
        report.fault(format!("order {order_id}: it has no view"));
    }
    Ok(())
}

/// The server cannot read some row: those of the orders that are left are asked for by their keys.
async fn check_one_by_one(
    snapshot: &Transaction<'_>,
    partition: &mut Partition,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    let left: BTreeMap<i64, OrderId> = partition
        .orders()
        .map(|(order_id, order)| (order.placed_position.0.cast_signed(), order_id.clone()))
        .collect();
    for (key, order_id) in left {
        snapshot.batch_execute(SAVEPOINT).await?;
        match snapshot.query_typed_opt(VIEW_WITH_KEY, &[(&key, Type::INT8)]).await {
            Ok(Some(row)) => check_view(&row, partition, report)?,
            Ok(None) => {}
            Err(error) if is_about_rows(&error) => {
                go_on(snapshot).await?;
                partition.remove(&order_id);
                let why = error_chain(&error);
                report.fault(format!("order {order_id}: its view cannot be read: {why}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn check_view(row: &Row, partition: &mut Partition, report: &mut VerifyReport) -> Result<(), Error> {
    let stored = match read_order(row, 0) {
        Ok(stored) => stored,
        Err(error) => {
            let order_id: &str = row.try_get(ORDER_ID)?;
            if let Ok(order_id) = OrderId::new(order_id) {
                partition.remove(&order_id);
            }
            report.fault(format!("order {order_id}: its view: {error}"));
            return Ok(());
        }
    };
    let order_id = stored.view.order_id();
    let fault = match partition.remove(order_id) {
        None => Some("it has a view, and no events".to_owned()),
        Some(order) if order.placed_position != stored.key => Some(format!(
            "its view has the key {}, and it begins at position {}",
            stored.key, order.placed_position
        )),
        Some(order) => order.view(order_id).and_then(|fold| fault_of(&stored, &fold)),
    };
    if let Some(fault) = fault {
        report.fault(format!("order {order_id}: {fault}"));
    }
    Ok(())
}

/// What a newer release made of an order's events is not for this one to judge, as long as it is of them all.
fn fault_of(stored: &StoredView, fold: &OrderView) -> Option<String> {
    if stored.projection > projection() && stored.view.version() == fold.version() {
        return None;
    }
    let difference = difference(&stored.view, fold)?;
    if stored.projection < projection() {
        return Some(format!(
            "an earlier release made its view, `order-service rebuild` makes it anew: {difference}"
        ));
    }
    Some(difference)
}
