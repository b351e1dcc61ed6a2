//! Views against the orders that the log makes.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use order_application::{Position, error_chain};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, Transaction};

use super::scan::{SAVEPOINT, go_on, is_about_rows};
use crate::postgres::row::{StoredView, order_columns, read_order};
use crate::verify::{CheckedOrder, CheckedOrders, Findings, Part};

const VIEWS_OF_PART: &str = concat!(
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
    mut orders: CheckedOrders,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    snapshot.batch_execute(SAVEPOINT).await?;
    let numbers = [part.number, part.of].map(u64::cast_signed);
    let parameters = numbers.iter().map(|number| (number, Type::INT8));
    let mut rows = Box::pin(snapshot.query_typed_raw(VIEWS_OF_PART, parameters).await?);
    loop {
        match rows.try_next().await {
            Ok(Some(row)) => check_view(&row, &mut orders, findings)?,
            Ok(None) => break,
            Err(error) if is_about_rows(&error) => {
                go_on(snapshot).await?;
                check_one_by_one(snapshot, &mut orders, findings).await?;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    for order_id in orders.by_id.keys() {
        findings.fault(format!("order {order_id}: it has no view"));
    }
    Ok(())
}

/// The server cannot read some row: those of the orders that are left are asked for by their keys.
async fn check_one_by_one(
    snapshot: &Transaction<'_>,
    orders: &mut CheckedOrders,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let left = orders.by_id.iter().map(|(order_id, order)| (order.placed_position.0.cast_signed(), order_id));
    let left: BTreeMap<i64, OrderId> = left.map(|(key, order_id)| (key, order_id.clone())).collect();
    for (key, order_id) in left {
        snapshot.batch_execute(SAVEPOINT).await?;
        match snapshot.query_typed_opt(VIEW_WITH_KEY, &[(&key, Type::INT8)]).await {
            Ok(Some(row)) => check_view(&row, orders, findings)?,
            Ok(None) => {}
            Err(error) if is_about_rows(&error) => {
                go_on(snapshot).await?;
                orders.by_id.remove(&order_id);
                let why = error_chain(&error);
                findings.fault(format!("order {order_id}: its view cannot be read: {why}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Holds a view against its order, which is done with then.
fn check_view(row: &Row, orders: &mut CheckedOrders, findings: &mut Findings<'_>) -> Result<(), Error> {
    let order_id: &str = row.try_get(ORDER_ID)?;
    let order = OrderId::new(order_id).ok().and_then(|order_id| orders.by_id.remove(&order_id));
    let fault = match (read_order(row, 0), order) {
        (Err(error), _) => Some(format!("its view: {error}")),
        (Ok(_), None) => Some("it has a view, and no events".to_owned()),
        (Ok(StoredView { key, view, projection, updated_position }), Some(order)) => {
            let fault = order.fault_of(key, &view, projection.cast_unsigned());
            fault.or_else(|| fault_of_position(&order, updated_position))
        }
    };
    if let Some(fault) = fault {
        findings.fault(format!("order {order_id}: {fault}"));
    }
    Ok(())
}

fn fault_of_position(order: &CheckedOrder, stored: Position) -> Option<String> {
    let found = order.updated_position()?;
    (stored != found)
        .then(|| format!("its view says that its last event is at position {stored}, and it is at {found}"))
}
