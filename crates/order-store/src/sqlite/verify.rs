//! Checks a store's files, with the server stopped: see [`crate::verify`] for what is checked.

use std::path::Path;

use order_application::{Position, StoreError, Version};
use order_domain::OrderId;
use twox_hash::XxHash3_64;

use super::catch_up::{self, CaughtUp};
use super::connection::{DirectoryLock, OpenError};
use super::log::{Log, LogKind};
use super::row;
use super::views::Views;
use super::{SqliteLimits, SqliteStore, views_path};
use crate::verify::{CheckedOrder, LogCheck, Partition, ROWS_PER_REPORT, VerifyReport, difference};

impl SqliteStore {
    /// Checks the store whose log is at `path`: see [`VerifyReport`]. `progress` is told rows done and rows in all.
    ///
    /// # Errors
    /// [`OpenError`] when the store cannot be opened at all. What is wrong inside it is in the report.
    pub fn verify(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, OpenError> {
        if !path.exists() {
            return Err(OpenError::missing(path));
        }
        let _lock = DirectoryLock::take(path)?;
        check(&Log::open(path, &[LogKind::Store, LogKind::Replica])?, progress)
    }
}

/// Checks a log that is open and locked, and its views.
pub(super) fn check(log: &Log, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, OpenError> {
    let mut report = VerifyReport::default();
    check_pages(log, &mut report)?;
    // Nothing in the log tells what they have to be.
    if let Err(OpenError::Corrupt { what, .. }) = log.checkpoints() {
        report.fault(format!("the checkpoints: {what}"));
    }
    let events = log.head()?.0;
    let partitions = check_rows(log, &mut report, &mut |done| progress(done, events))?;
    let views = if report.is_sound() { views(log, &mut report)? } else { None };
    for partition in 0..partitions {
        let mut progress = |done| progress(events * (partition + 1) + done, events * (partitions + 1));
        let orders = fold(log, partition, partitions, &mut report, &mut progress)?;
        report.orders += orders.len();
        if let Some(views) = &views {
            for (order_id, order) in orders.orders() {
                check_view(views, order_id, order, &mut report);
            }
        }
    }
    if let Some(views) = &views {
        check_count(views, &mut report);
    }
    Ok(report)
}

/// SQLite's own check of the file.
fn check_pages(log: &Log, report: &mut VerifyReport) -> Result<(), OpenError> {
    for fault in log.check_pages()? {
        report.fault(format!("{}: {fault}", log.path().display()));
    }
    Ok(())
}

/// Reads every row, and answers with the number of partitions that the orders need.
fn check_rows(log: &Log, report: &mut VerifyReport, progress: &mut dyn FnMut(u64)) -> Result<u64, OpenError> {
    let mut check = LogCheck::default();
    let mut scratch = Vec::new();
    log.scan(&mut |row| {
        let position: u64 = row.get(0)?;
        check.add(position, &row::read(row, &mut scratch), report);
        if position.is_multiple_of(ROWS_PER_REPORT) {
            progress(position);
        }
        Ok(())
    })?;
    Ok(check.partitions())
}

/// The views, brought up to the log. `None` when they contradict it, which is then in the report.
fn views(log: &Log, report: &mut VerifyReport) -> Result<Option<CaughtUp>, OpenError> {
    let views = Views::open(&views_path(log.path()), log)?;
    match catch_up::run(log, views, &SqliteLimits::default()) {
        Ok(caught_up) => Ok(Some(caught_up)),
        Err(OpenError::Corrupt { path, what }) => {
            report.fault(format!("{}: {what}", path.display()));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn fold(
    log: &Log,
    partition: u64,
    partitions: u64,
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(u64),
) -> Result<Partition, OpenError> {
    let mut orders = Partition::default();
    let mut scratch = Vec::new();
    let mut row_number = 0_u64;
    log.scan(&mut |row| {
        row_number += 1;
        if row_number.is_multiple_of(ROWS_PER_REPORT) {
            progress(row_number);
        }
        let order_id = row.get_ref(row::ORDER_ID)?.as_bytes().unwrap_or_default();
        if XxHash3_64::oneshot(order_id) % partitions != partition {
            return Ok(());
        }
        match row::read(row, &mut scratch) {
            Ok(event) => drop::<Position>(orders.add(&event, report)),
            Err(_) => orders.add_unreadable(&String::from_utf8_lossy(order_id), Position(row.get(0)?)),
        }
        Ok(())
    })?;
    Ok(orders)
}

fn check_view(views: &CaughtUp, order_id: &OrderId, order: &CheckedOrder, report: &mut VerifyReport) {
    let Some(fold) = order.view(order_id) else { return };
    let fault = match views.readers.view(&views.overlay, order_id) {
        Ok(Some(view)) => match difference(&view, &fold) {
            Some(different) => Some(StoreError::Corrupt(different)),
            None if order.is_readable() => check_index(views, order_id, fold.version()).err(),
            None => None,
        },
        Ok(None) => Some(StoreError::Corrupt("it has no view".to_owned())),
        Err(error) => Some(error),
    };
    if let Some(fault) = fault {
        report.fault(format!("order {order_id}: {fault}"));
    }
}

/// The index names each version's position, and the log has the version there.
fn check_index(views: &CaughtUp, order_id: &OrderId, version: Version) -> Result<(), StoreError> {
    let all = usize::try_from(version.0).unwrap_or(usize::MAX);
    let positions = views.readers.stream_positions(&views.overlay, order_id, Version::NONE, all)?;
    views.readers.events_at(order_id, &positions, usize::MAX)?;
    Ok(())
}

/// Views of orders that the log does not have.
fn check_count(views: &CaughtUp, report: &mut VerifyReport) {
    let mut listed = 0;
    let mut after = Position::START;
    loop {
        match views.readers.rows(&views.overlay, after, 1_000) {
            Ok(rows) => {
                let Some((last, _)) = rows.last() else { break };
                listed += rows.len() as u64;
                after = Position(*last);
            }
            Err(error) => return report.fault(format!("the list of orders: {error}")),
        }
    }
    if listed != report.orders {
        let orders = report.orders;
        report.fault(format!("the views list {listed} orders, and the log has {orders}"));
    }
}
