//! Checks a database, beside whoever serves from it: see [`crate::verify`] for what is checked.
//!
//! Everything is read from one snapshot, so what is appended meanwhile does not matter. Rows are streamed: the client takes
//! the next when it is done with the one before.

mod finding;
mod receipts;
mod scan;
mod views;

use deadpool_postgres::Transaction;
use order_application::Position;
use tokio_postgres::{Error, IsolationLevel};

use super::database::{Database, NO_DEADLINES};
use super::log_state::state_of_finished;
use super::pages::LOG_END;
use super::row::number;
use super::times::LogTimes;
use super::{DEADLINE, PostgresError, PostgresFault, PostgresStore, checkpoints, loss, objects, refused};
use crate::postgres::servers::Object;
use crate::verify::{CheckedOrders, Findings, LogCheck, LogRow, Part, VerifyProgress, VerifyReport};
use scan::LogScan;

/// Rows come in the log's order, and are never sorted on a disk.
const PLANS: &str = "SET LOCAL enable_sort = off; SET LOCAL jit = off";

impl PostgresStore {
    /// Checks the database at `url`, also beside instances that serve from it: see [`VerifyReport`]. `progress` is told
    /// rows done and rows in all.
    ///
    /// # Errors
    /// [`PostgresError`] when the database cannot be read. What is wrong inside it is in the report.
    pub async fn verify(url: &str, progress: VerifyProgress<'_>) -> Result<VerifyReport, PostgresError> {
        let database = Database::open(url, 1, DEADLINE)?;
        let checking = async {
            let mut connection = database.connect().await?;
            state_of_finished(&connection).await?;
            let objects = objects::faults(&connection).await.map_err(refused("show its tables"))?;
            let mut report = check(&mut connection, progress).await?;
            report.faults.splice(0..0, objects);
            Ok::<_, PostgresFault>(report)
        };
        checking.await.map_err(|fault| fault.at(database.address()))
    }
}

/// Checks a database whose schema is right.
pub(super) async fn check(
    connection: &mut Object,
    progress: VerifyProgress<'_>,
) -> Result<VerifyReport, PostgresFault> {
    let snapshot = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let snapshot = snapshot.read_only(true).start().await.map_err(refused("be read"))?;
    check_snapshot(&snapshot, progress).await.map_err(refused("be read"))
}

async fn check_snapshot(
    snapshot: &Transaction<'_>,
    progress: VerifyProgress<'_>,
) -> Result<VerifyReport, Error> {
    let mut parts = LogParts::begin(snapshot, progress).await?;
    finding::check_times(snapshot, &parts.times, parts.end, &mut parts.findings).await?;
    finding::check_ghosts(snapshot, &mut parts.findings).await?;
    while let Some((part, orders)) = parts.next().await? {
        finding::check_terms(snapshot, part, &orders, &mut parts.findings).await?;
        receipts::check_events(snapshot, part, &orders, &mut parts.findings).await?;
        views::check(snapshot, part, orders, &mut parts.findings).await?;
    }
    Ok(parts.findings.report)
}

/// The log of a snapshot, of which every row is looked at, and then every order, part by part.
pub(super) struct LogParts<'a> {
    snapshot: &'a Transaction<'a>,
    pub(super) end: Position,
    /// When the log's events were.
    pub(super) times: LogTimes,
    parts: Box<dyn Iterator<Item = Part> + Send>,
    pub(super) findings: Findings<'a>,
}

impl<'a> LogParts<'a> {
    pub(super) async fn begin(
        snapshot: &'a Transaction<'a>,
        progress: VerifyProgress<'a>,
    ) -> Result<Self, Error> {
        snapshot.batch_execute(NO_DEADLINES).await?;
        snapshot.batch_execute(PLANS).await?;
        let end = Position(number(&snapshot.query_typed_one(LOG_END, &[]).await?, 0)?);
        let mut findings = Findings::new(progress);
        check_checkpoints(snapshot, end, &mut findings).await?;
        receipts::check(snapshot, &mut findings).await?;
        findings.expect_rows(end.0);
        let (mut check, mut times) = (LogCheck::default(), LogTimes::default());
        let mut rows = LogScan::new(snapshot, Part::WHOLE, end);
        while let Some(row) = rows.next().await? {
            check.add(&row, &mut findings);
            if let LogRow::Event { event, .. } = &row {
                times.add(event.position, event.time);
            }
        }
        let parts = Box::new(check.finish(end, &mut findings));
        findings.expect_rows(end.0);
        Ok(Self { snapshot, end, times, parts, findings })
    }

    /// The next part of the orders, folded.
    pub(super) async fn next(&mut self) -> Result<Option<(Part, CheckedOrders)>, Error> {
        let Some(part) = self.parts.next() else { return Ok(None) };
        let mut orders = CheckedOrders::viewed_to(self.end);
        let mut rows = LogScan::new(self.snapshot, part, self.end);
        while let Some(row) = rows.next().await? {
            orders.add(row, &mut self.findings);
        }
        self.findings.report.orders += orders.by_id.len() as u64;
        Ok(Some((part, orders)))
    }
}

/// That they can be read, and that none is beyond the log's end.
async fn check_checkpoints(
    snapshot: &Transaction<'_>,
    end: Position,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    for row in snapshot.query_typed(checkpoints::LOAD_ALL, &[]).await? {
        if let Err(error) = checkpoints::read_named(&row) {
            findings.fault(format!("a checkpoint: {error}"));
        }
    }
    for loss in loss::lost_by_followers(snapshot, end).await? {
        findings.fault(loss.to_string());
    }
    Ok(())
}
