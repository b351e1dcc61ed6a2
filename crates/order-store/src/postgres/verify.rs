//! Checks a database, beside whoever serves from it: see [`crate::verify`] for what is checked.
//!
//! Everything is read from one snapshot, so what is appended meanwhile does not matter. Rows are streamed: the client takes
//! the next when it is done with the one before.

use deadpool_postgres::{Object, Transaction};
use futures_util::TryStreamExt;
use order_application::Position;
use order_domain::OrderId;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, IsolationLevel, Row, RowStream};

use super::database::Database;
use super::row::{event_columns, order_columns, read_event, read_order};
use super::state::{check_schema, log_state};
use super::url::Target;
use super::{PostgresError, PostgresLimits, PostgresStore, checkpoints, connect, refused};
use crate::verify::{LogCheck, Partition, ROWS_PER_REPORT, VerifyReport, difference};

const SCAN: &str = concat!("SELECT ", event_columns!(), " FROM order_service.events e ORDER BY e.position");

/// The server says which rows are a partition's, so that only those travel. Both tables are split by the same hash.
const SCAN_PARTITION: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", e.order_key FROM order_service.events e \
     WHERE (hashtextextended(e.order_id, 0) & 9223372036854775807) % $2 = $1 ORDER BY e.position"
);

const VIEWS_OF_PARTITION: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM order_service.orders o WHERE (hashtextextended(o.order_id, 0) & 9223372036854775807) % $2 = $1"
);

/// The index of `order_key` among the columns of [`SCAN_PARTITION`], and of the order's id.
const ORDER_KEY: usize = 10;
const ORDER_ID: usize = 4;

/// No deadline that somebody has set for others; and rows in the log's order as they come, never sorted on a disk.
const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
                        SET LOCAL enable_sort = off; SET LOCAL jit = off";

/// Told rows done and rows in all.
pub(super) type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

impl PostgresStore {
    /// Checks the database at `url`, also beside instances that serve from it: see [`VerifyReport`]. `progress` is told
    /// rows done and rows in all.
    ///
    /// # Errors
    /// [`PostgresError`] when the database cannot be read. What is wrong inside it is in the report.
    pub async fn verify(
        url: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<VerifyReport, PostgresError> {
        let target = Target::parse(url).map_err(PostgresError::Url)?;
        let database =
            Database::new(&target, 1, PostgresLimits::default().deadline).map_err(PostgresError::Url)?;
        let mut connection = connect(&database).await?;
        check_schema(&connection).await?;
        if log_state(&connection).await?.copying {
            return Err(PostgresError::Copying);
        }
        check(&mut connection, progress).await
    }
}

/// Checks a database whose schema is right.
pub(super) async fn check(
    connection: &mut Object,
    progress: Progress<'_>,
) -> Result<VerifyReport, PostgresError> {
    let snapshot = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let snapshot = snapshot.read_only(true).start().await.map_err(refused("be read"))?;
    check_snapshot(&snapshot, progress).await.map_err(refused("be read"))
}

async fn check_snapshot(snapshot: &Transaction<'_>, progress: Progress<'_>) -> Result<VerifyReport, Error> {
    snapshot.batch_execute(SETTINGS).await?;
    let head = "SELECT coalesce(max(position), 0) FROM order_service.events";
    let events = snapshot.query_typed_one(head, &[]).await?.try_get::<_, i64>(0)?.cast_unsigned();
    let mut report = VerifyReport::default();
    check_checkpoints(snapshot, &mut report).await?;
    let partitions = check_rows(snapshot, &mut report, &mut |done| progress(done, events)).await?;
    // Each partition's rows are an equal part of all, about.
    let total = events * 2;
    let mut done = events;
    for number in 0..partitions {
        let mut progress = |rows: u64| progress((done + rows).min(total), total);
        let (rows, mut partition) = fold(snapshot, (number, partitions), &mut report, &mut progress).await?;
        done += rows;
        report.orders += partition.len();
        check_views(snapshot, (number, partitions), &mut partition, &mut report).await?;
    }
    Ok(report)
}

/// That they can be read: nothing in the log tells what they have to be.
async fn check_checkpoints(snapshot: &Transaction<'_>, report: &mut VerifyReport) -> Result<(), Error> {
    for row in snapshot.query_typed(checkpoints::LOAD_ALL, &[]).await? {
        if let Err(error) = checkpoints::read_named(&row) {
            report.fault(format!("a checkpoint: {error}"));
        }
    }
    Ok(())
}

/// Reads every row, and answers with the number of partitions that the orders need.
async fn check_rows(
    snapshot: &Transaction<'_>,
    report: &mut VerifyReport,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, Error> {
    let mut check = LogCheck::default();
    let mut scratch = Vec::new();
    let mut rows = Box::pin(stream(snapshot, SCAN, None).await?);
    while let Some(row) = rows.try_next().await? {
        let position = Position(row.try_get::<_, i64>(0)?.cast_unsigned());
        check.add(Some(position), &read_event(&row, &mut scratch), report);
        if report.events.is_multiple_of(ROWS_PER_REPORT) {
            progress(report.events);
        }
    }
    Ok(check.partitions())
}

async fn fold(
    snapshot: &Transaction<'_>,
    number_of: (u64, u64),
    report: &mut VerifyReport,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(u64, Partition), Error> {
    let mut partition = Partition::default();
    let mut scratch = Vec::new();
    let mut done = 0_u64;
    let mut rows = Box::pin(stream(snapshot, SCAN_PARTITION, Some(number_of)).await?);
    while let Some(row) = rows.try_next().await? {
        match read_event(&row, &mut scratch) {
            Ok(event) => {
                let key = Position(row.try_get::<_, i64>(ORDER_KEY)?.cast_unsigned());
                let placed = partition.add(&event, report);
                if placed != key {
                    report.fault(format!(
                        "order {}, event at position {}: its key is {key}, and the order begins at position {placed}",
                        event.order_id, event.position
                    ));
                }
            }
            Err(_) => {
                let position = Position(row.try_get::<_, i64>(0)?.cast_unsigned());
                partition.add_unreadable(row.try_get(ORDER_ID)?, position);
            }
        }
        done += 1;
        if done.is_multiple_of(ROWS_PER_REPORT) {
            progress(done);
        }
    }
    Ok((done, partition))
}

/// Every view is the fold of its order, every order has one, and no view is of an order that the log does not have.
async fn check_views(
    snapshot: &Transaction<'_>,
    number_of: (u64, u64),
    partition: &mut Partition,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    let mut rows = Box::pin(stream(snapshot, VIEWS_OF_PARTITION, Some(number_of)).await?);
    while let Some(row) = rows.try_next().await? {
        check_view(&row, partition, report)?;
    }
    for (order_id, _) in partition.orders() {
        report.fault(format!("order {order_id}: it has no view"));
    }
    Ok(())
}

fn check_view(row: &Row, partition: &mut Partition, report: &mut VerifyReport) -> Result<(), Error> {
    let (placed_position, view) = match read_order(row, 0) {
        Ok(stored) => (stored.key, stored.view),
        Err(error) => {
            let order_id: &str = row.try_get(1)?;
            if let Ok(order_id) = OrderId::new(order_id) {
                partition.remove(&order_id);
            }
            report.fault(format!("order {order_id}: its view: {error}"));
            return Ok(());
        }
    };
    let order_id = view.order_id();
    let fault = match partition.remove(order_id) {
        None => Some("it has a view, and no events".to_owned()),
        Some(order) if order.placed_position != placed_position => Some(format!(
            "its view has the key {placed_position}, and it begins at position {}",
            order.placed_position
        )),
        Some(order) => order.view(order_id).and_then(|fold| difference(&view, &fold)),
    };
    if let Some(fault) = fault {
        report.fault(format!("order {order_id}: {fault}"));
    }
    Ok(())
}

/// Rows as they come, of a partition (its number, and how many there are) or of all.
async fn stream(
    snapshot: &Transaction<'_>,
    sql: &str,
    number_of: Option<(u64, u64)>,
) -> Result<RowStream, Error> {
    let numbers = number_of.map(|(number, of)| [number.cast_signed(), of.cast_signed()]);
    let parameters = numbers.iter().flatten().map(|number| (number as &(dyn ToSql + Sync), Type::INT8));
    snapshot.query_typed_raw(sql, parameters.collect::<Vec<_>>()).await
}
