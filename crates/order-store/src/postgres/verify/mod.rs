//! Checks a database, beside whoever serves from it: see [`crate::verify`] for what is checked.
//!
//! Everything is read from one snapshot, so what is appended meanwhile does not matter. Rows are streamed: the client takes
//! the next when it is done with the one before.

mod scan;
mod views;

use deadpool_postgres::{Object, Transaction};
use order_application::{Position, error_chain};
use tokio_postgres::{Error, IsolationLevel};

use super::database::{Database, NO_DEADLINES};
use super::log_state::state_of_finished;
use super::pages::LOG_END;
use super::row::{EVENT_ORDER_ID, EVENT_ORDER_KEY, number, read_event};
use super::{DEADLINE, PostgresError, PostgresStore, Progress, checkpoints, connect, refused};
use crate::verify::{LogCheck, Partition, ROWS_PER_REPORT, VerifyReport};
use scan::{LogScan, Scanned};

/// Rows come in the log's order, and are never sorted on a disk.
const PLANS: &str = "SET LOCAL enable_sort = off; SET LOCAL jit = off";

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
        let database = Database::open(url, 1, DEADLINE)?;
        let mut connection = connect(&database).await?;
        state_of_finished(&connection).await?;
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
    snapshot.batch_execute(NO_DEADLINES).await?;
    snapshot.batch_execute(PLANS).await?;
    let end: i64 = snapshot.query_typed_one(LOG_END, &[]).await?.try_get(0)?;
    let events = end.cast_unsigned();
    let mut report = VerifyReport::default();
    check_checkpoints(snapshot, &mut report).await?;
    let partitions = check_rows(snapshot, end, &mut report, &mut |done| progress(done, events)).await?;
    // Each partition's rows are an equal part of all, about.
    let total = events * 2;
    let mut done = events;
    for number in 0..partitions {
        let mut progress = |rows: u64| progress((done + rows).min(total), total);
        let part = Part { number: number.cast_signed(), of: partitions.cast_signed(), end };
        let (rows, mut partition) = fold(snapshot, part, &mut report, &mut progress).await?;
        done += rows;
        report.orders += partition.len();
        views::check(snapshot, part, &mut partition, &mut report).await?;
    }
    Ok(report)
}

/// A partition of the log up to a position. The server says which rows are a partition's, so that only those travel; both
/// tables are split by the same hash.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: i64,
    of: i64,
    end: i64,
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
    end: i64,
    report: &mut VerifyReport,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, Error> {
    let mut check = LogCheck::default();
    let mut scratch = Vec::new();
    let mut rows = LogScan::new(snapshot, Part { number: 0, of: 1, end });
    while let Some(scanned) = rows.next().await? {
        match scanned {
            Scanned::Row(row) => {
                let position = Position(number(&row, 0)?);
                check.add(Some(position), &read_event(&row, &mut scratch), report);
            }
            Scanned::Unreadable(position, error) => {
                let position = Position(position.cast_unsigned());
                check.add_unreadable(position, position, &error_chain(&error), report);
            }
        }
        if report.events.is_multiple_of(ROWS_PER_REPORT) {
            progress(report.events);
        }
    }
    check.finish(Position(end.cast_unsigned()), report);
    Ok(check.partitions())
}

/// What the server cannot read is nobody's here: the first pass has told of it, and its order lacks an event.
async fn fold(
    snapshot: &Transaction<'_>,
    part: Part,
    report: &mut VerifyReport,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(u64, Partition), Error> {
    let mut partition = Partition::default();
    let mut scratch = Vec::new();
    let mut done = 0_u64;
    let mut rows = LogScan::new(snapshot, part);
    while let Some(scanned) = rows.next().await? {
        let Scanned::Row(row) = scanned else { continue };
        match read_event(&row, &mut scratch) {
            Ok(event) => {
                let key = Position(number(&row, EVENT_ORDER_KEY)?);
                let placed = partition.add(&event, report);
                if placed != key {
                    report.fault(format!(
                        "order {}, event at position {}: its key is {key}, and the order begins at position {placed}",
                        event.order_id, event.position
                    ));
                }
            }
            Err(_) => {
                let position = Position(number(&row, 0)?);
                partition.add_unreadable(row.try_get(EVENT_ORDER_ID)?, position);
            }
        }
        done += 1;
        if done.is_multiple_of(ROWS_PER_REPORT) {
            progress(done);
        }
    }
    Ok((done, partition))
}
