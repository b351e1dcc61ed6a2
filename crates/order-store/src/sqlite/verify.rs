//! Checks a store from end to end, with the server stopped.
//!
//! The first pass reads every row: positions without a gap, checksums. Then the orders are gone through in partitions,
//! by a hash of their ids, one pass over the log for each: every stream contiguous, every event decodes, and the fold of
//! each order equals its view. A partition's orders are all that is held in memory at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use order_application::{OrderSummary, Position, RecordedEvent, StoreError, Version, VersionedOrder, codec};
use order_domain::OrderId;
use twox_hash::XxHash3_64;

use super::catch_up::{self, CaughtUp};
use super::connection::{DirectoryLock, OpenError};
use super::log::Log;
use super::row;
use super::views::Views;
use super::{SqliteLimits, views_path};

/// Event data that is folded in one pass. The orders that it makes take about twice as much.
const BYTES_PER_PARTITION: u64 = 48 * 1024 * 1024;
/// Faults that are told; the rest is counted.
const MAX_TOLD_FAULTS: usize = 100;
/// Rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 4_096;

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events in the log.
    pub events: u64,
    /// Orders in the log.
    pub orders: u64,
    /// What is wrong, the first hundred.
    pub faults: Vec<String>,
    /// Faults beyond those.
    pub more_faults: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_TOLD_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

/// Checks the store whose log is at `path`. `progress` is told rows done and rows in all.
///
/// # Errors
/// [`OpenError`] when the store cannot be opened at all. What is wrong inside it is in the report.
pub fn verify(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, OpenError> {
    if !path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such file");
        return Err(OpenError::io(path)(source));
    }
    let _lock = DirectoryLock::take(path)?;
    let log = Log::open(path)?;
    let mut report = VerifyReport::default();
    check_pages(&log, &mut report)?;
    let events = log.head()?.0;
    let bytes = check_rows(&log, &mut report, &mut |done| progress(done, events))?;
    let partitions = bytes.div_ceil(BYTES_PER_PARTITION).max(1);
    let views = if report.is_sound() { views(&log, &mut report)? } else { None };
    for partition in 0..partitions {
        let mut progress = |done| progress(events * (partition + 1) + done, events * (partitions + 1));
        let orders = fold(&log, partition, partitions, &mut report, &mut progress)?;
        report.orders += orders.len() as u64;
        if let Some(views) = &views {
            for (order_id, folded) in &orders {
                if let Folded::Order(order) = folded {
                    check_view(views, order_id, order, &mut report);
                }
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

/// Reads every row, and answers with the bytes of event data.
fn check_rows(log: &Log, report: &mut VerifyReport, progress: &mut dyn FnMut(u64)) -> Result<u64, OpenError> {
    let (mut bytes, mut expected) = (0, 1);
    let mut scratch = Vec::new();
    log.scan(&mut |row| {
        let position: u64 = row.get(0)?;
        if position != expected {
            report.fault(format!("the log has no events at positions {expected} to {}", position - 1));
        }
        expected = position + 1;
        report.events += 1;
        match row::read(row, &mut scratch) {
            Ok(event) => bytes += event.data.len() as u64,
            Err(error) => report.fault(error.to_string()),
        }
        if position.is_multiple_of(ROWS_PER_REPORT) {
            progress(position);
        }
        Ok(())
    })?;
    Ok(bytes)
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

/// An order, as far as it could be folded.
enum Folded {
    Order(Box<VersionedOrder>),
    /// A fault in it has been told.
    Broken,
}

fn fold(
    log: &Log,
    partition: u64,
    partitions: u64,
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(u64),
) -> Result<HashMap<OrderId, Folded>, OpenError> {
    let mut orders = HashMap::<OrderId, Folded>::new();
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
        // A row that cannot be read was told in the first pass.
        if let Ok(event) = row::read(row, &mut scratch) {
            fold_event(&mut orders, &event, report);
        }
        Ok(())
    })?;
    Ok(orders)
}

fn fold_event(orders: &mut HashMap<OrderId, Folded>, event: &RecordedEvent, report: &mut VerifyReport) {
    let mut replay = |before| match codec::replay(before, event) {
        Ok(order) => Folded::Order(Box::new(order)),
        Err(error) => {
            report.fault(format!("order {}, event at position {}: {error}", event.order_id, event.position));
            Folded::Broken
        }
    };
    match orders.entry(event.order_id.clone()) {
        Entry::Vacant(entry) => {
            entry.insert(replay(None));
        }
        Entry::Occupied(mut entry) => {
            if let Folded::Order(order) = std::mem::replace(entry.get_mut(), Folded::Broken) {
                entry.insert(replay(Some(*order)));
            }
        }
    }
}

fn check_view(views: &CaughtUp, order_id: &OrderId, order: &VersionedOrder, report: &mut VerifyReport) {
    let fault = match views.readers.summary(&views.overlay, order_id) {
        Ok(Some(view)) if view == order.summary(order_id) => {
            check_index(views, order_id, order.version).err()
        }
        Ok(Some(view)) => Some(StoreError::Corrupt(different(&view, &order.summary(order_id)))),
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

fn different(view: &OrderSummary, fold: &OrderSummary) -> String {
    format!("its view is {view:?}, and its events make it {fold:?}")
}

/// Views of orders that the log does not have.
fn check_count(views: &CaughtUp, report: &mut VerifyReport) {
    let mut listed = 0;
    let mut after = Position::START;
    loop {
        match views.readers.list(&views.overlay, after, 1_000) {
            Ok(page) => {
                let Some(last) = page.last() else { break };
                listed += page.len() as u64;
                after = last.placed_position;
            }
            Err(error) => return report.fault(format!("the list of orders: {error}")),
        }
    }
    if listed != report.orders {
        let orders = report.orders;
        report.fault(format!("the views list {listed} orders, and the log has {orders}"));
    }
}
