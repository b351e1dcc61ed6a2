//! Checks a store's files, with the server stopped: see [`crate::verify`] for what is checked. Nothing is changed, whatever
//! is found: a log that a crash has left is read as it is, and views that lag behind it are held against what they have.
//!
//! | file | holds |
//! |---|---|
//! | `rows.rs` | every row of the log, past those and past pages that cannot be read |
//! | `views.rs` | the views, held against the orders |
//! | `outside.rs` | opening files without leaving anything behind |

mod outside;
mod rows;
mod views;

use std::path::Path;

use order_application::Position;
use rusqlite::Connection;
use twox_hash::XxHash3_64;
use uuid::Uuid;

use crate::sqlite::SqliteStore;
use crate::sqlite::directory_lock::DirectoryLock;
use crate::sqlite::log::row;
use crate::sqlite::log::{LogKind, check_log, declared_schema, follower_checkpoints, schema_text};
use crate::sqlite::verify::outside::OutsideFile;
use crate::sqlite::verify::rows::LogRows;
use crate::sqlite::verify::views::CheckedViews;
use crate::sqlite_error::{SqliteError, is_damage};
use crate::verify::{LogCheck, Partition, ROWS_PER_REPORT, VerifyReport};

/// Most lines of SQLite's own check of the file.
const MAX_PAGE_FAULTS: u32 = 1_000;

impl SqliteStore {
    /// Checks the store whose log is at `path`: see [`VerifyReport`]. `progress` is told rows done and rows in
    /// all, which becomes more once every row has been read and the orders are gone through.
    ///
    /// # Errors
    /// [`SqliteError`] when there is no store, or somebody else has it. What is wrong inside it is in the report.
    pub fn verify(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, SqliteError> {
        let file = std::fs::metadata(path).map_err(SqliteError::io(path))?;
        let mut report = VerifyReport::default();
        if file.len() == 0 {
            report.fault(format!("{}: the file is empty, and no order store", path.display()));
            return Ok(report);
        }
        let _lock = DirectoryLock::take_if_there(path)?;
        let opened = OutsideFile::open(path, path).and_then(|log| {
            check_log(&log.connection, path, &[LogKind::Store, LogKind::Replica])?;
            let identity = log.connection.query_row("SELECT identity FROM log", (), |row| row.get(0));
            let identity = identity.map_err(|error| SqliteError::damaged_or_failed(path, error))?;
            Ok((log, Uuid::from_bytes(identity)))
        });
        match opened {
            Ok((log, identity)) => check(&log.connection, path, identity, progress),
            Err(error) if is_fault(&error) => {
                report.fault(format!("no event can be read: {error}"));
                Ok(report)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a file that is there cannot be opened because of what is in it.
fn is_fault(error: &SqliteError) -> bool {
    match error {
        SqliteError::NotAStore { .. } | SqliteError::Corrupt { .. } => true,
        SqliteError::Sqlite { cause, .. } => is_damage(cause),
        SqliteError::InUse { .. }
        | SqliteError::Newer { .. }
        | SqliteError::Older { .. }
        | SqliteError::Copying { .. }
        | SqliteError::Replica { .. }
        | SqliteError::NotAReplica { .. }
        | SqliteError::Io { .. }
        | SqliteError::Stopped => false,
    }
}

/// Checks a log that nobody is writing to, and its views.
pub(super) fn check(
    log: &Connection,
    path: &Path,
    identity: Uuid,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, SqliteError> {
    let mut report = VerifyReport::default();
    check_pages(log, path, &mut report);
    check_schema_text(log, &mut report);
    let views = CheckedViews::open(path, identity, &mut report)?;
    let viewed_to = views.as_ref().map(CheckedViews::position);
    let rows = LogRows::of(log, viewed_to);
    let viewed_to = viewed_to.unwrap_or_default();
    let partitions = check_rows(&rows, &mut report, progress);
    check_checkpoints(log, rows.end(), &mut report);
    if let Some(views) = &views {
        views.check_end(log, rows.end(), &mut report);
    }
    let mut viewed = 0;
    for partition in 0..partitions {
        let mut progress =
            |done| progress(rows.end().0 * (partition + 1) + done, rows.end().0 * (partitions + 1));
        let orders = fold(&rows, viewed_to, (partition, partitions), &mut report, &mut progress);
        report.orders += orders.len();
        if let Some(views) = &views {
            for (order_id, order) in orders.orders() {
                viewed += u64::from(views.check_order(log, order_id, order, &mut report));
            }
        }
    }
    if let Some(views) = &views {
        views.check_count(viewed, &mut report);
        views.check_index(viewed, &mut report);
    }
    Ok(report)
}

/// SQLite's own check of the file.
fn check_pages(log: &Connection, path: &Path, report: &mut VerifyReport) {
    let check = || {
        let mut statement = log.prepare(&format!("PRAGMA quick_check({MAX_PAGE_FAULTS})"))?;
        statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
    };
    match check() {
        Ok(faults) => {
            for fault in faults.into_iter().filter(|fault| fault != "ok") {
                report.fault(format!("{}: {fault}", path.display()));
            }
        }
        Err(error) => report.fault(format!("{}: its pages cannot be checked: {error}", path.display())),
    }
}

/// That the tables are declared as this release declares them: what reads today may not be written tomorrow.
fn check_schema_text(log: &Connection, report: &mut VerifyReport) {
    match (schema_text(log), declared_schema(log)) {
        (Ok(found), Ok(declared)) => {
            for (name, text) in declared {
                if found.get(&name) != Some(&text) {
                    report.fault(format!("the table {name} is not declared as it was"));
                }
            }
        }
        (Err(error), _) | (_, Err(error)) => report.fault(format!("the tables' declarations: {error}")),
    }
}

/// Reads every row, and answers with the number of partitions that the orders need.
fn check_rows(rows: &LogRows<'_>, report: &mut VerifyReport, progress: &mut dyn FnMut(u64, u64)) -> u64 {
    let mut check = LogCheck::default();
    let mut scratch = Vec::new();
    let mut done = 0_u64;
    rows.visit(&mut |row| {
        done += 1;
        if done.is_multiple_of(ROWS_PER_REPORT) {
            progress(done, rows.end().0);
        }
        match row {
            Ok(row) => {
                let event = row::read(row, &mut scratch);
                let position = row.get(0).ok().map(Position);
                let is_sound = event.is_ok();
                check.add(position, &event, report);
                is_sound
            }
            Err(unreadable) => {
                check.add_unreadable(unreadable.first, unreadable.last, &unreadable.why, report);
                false
            }
        }
    });
    check.finish(rows.end(), report);
    if check.is_out_of_order {
        rows.visit_unfindable(&mut |first, last| {
            report.fault(format!(
                "the events at positions {first} to {last} are not found where they should be"
            ));
        });
    }
    check.partitions()
}

/// That they can be read, and are of this log: it goes as far as they do.
fn check_checkpoints(log: &Connection, end: Position, report: &mut VerifyReport) {
    match follower_checkpoints::load_all(log) {
        Ok(checkpoints) => {
            for (name, checkpoint) in checkpoints.iter().filter(|(_, checkpoint)| checkpoint.position > end) {
                report.fault(format!(
                    "the checkpoint {name:?} is at position {}, and the log ends at position {end}",
                    checkpoint.position
                ));
            }
        }
        Err(error) => report.fault(format!("the checkpoints: {error}")),
    }
}

fn fold(
    rows: &LogRows<'_>,
    viewed_to: Position,
    (partition, partitions): (u64, u64),
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(u64),
) -> Partition {
    let mut orders = Partition::viewed_to(viewed_to);
    let mut scratch = Vec::new();
    let mut done = 0_u64;
    rows.visit(&mut |row| {
        done += 1;
        if done.is_multiple_of(ROWS_PER_REPORT) {
            progress(done);
        }
        let Ok(row) = row else { return false };
        let event = row::read(row, &mut scratch);
        let order_id = row.get_ref(row::ORDER_ID).ok().and_then(|id| id.as_bytes().ok()).unwrap_or_default();
        if XxHash3_64::oneshot(order_id) % partitions == partition {
            match &event {
                Ok(event) => {
                    orders.add(event, report);
                }
                Err(_) => {
                    let position = row.get(0).map_or(Position::START, Position);
                    orders.add_unreadable(&String::from_utf8_lossy(order_id), position);
                }
            }
        }
        event.is_ok()
    });
    orders
}
