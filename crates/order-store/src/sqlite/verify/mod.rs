//! Checks a store's files, with the server stopped: see [`crate::verify`] for what is checked. Nothing is changed, whatever
//! is found: a log that a crash has left is read as it is, and views that lag behind it are held against what they have.
//!
//! | file | holds |
//! |---|---|
//! | `rows.rs` | every row of the log, past those and past pages that cannot be read |
//! | `views.rs` | the views, held against the orders |
//! | `receipts.rs` | the receipts, and the views' index of them |

mod receipts;
mod rows;
mod views;

use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;

use crate::sqlite::SqliteStore;
use crate::sqlite::log::{
    LogKind, check_log, declared_schema, follower_checkpoints, identity, is_empty, schema_text,
};
use crate::sqlite::loss::{self, Loss};
use crate::sqlite::outside::OutsideFile;
use crate::sqlite::store_lock::{StoreLock, lock_path};
use crate::sqlite::verify::rows::LogRows;
use crate::sqlite::verify::views::{CheckedViews, Viewed};
use crate::sqlite_error::{SqliteError, is_damage};
use crate::verify::{CheckedOrders, Findings, LogCheck, Part, VerifyProgress, VerifyReport};

/// Most lines of SQLite's own check of the file.
const MAX_PAGE_FAULTS: u32 = 1_000;

impl SqliteStore {
    /// Checks the store whose log is at `path`: see [`VerifyReport`]. `progress` is told rows done and rows in
    /// all, which becomes more once every row has been read and the orders are gone through.
    ///
    /// # Errors
    /// [`SqliteError`] when there is no store, or somebody else has it. What is wrong inside it is in the report.
    pub fn verify(path: &Path, progress: VerifyProgress<'_>) -> Result<VerifyReport, SqliteError> {
        let _lock = StoreLock::take_to_read(path)?;
        let losses = loss::find(path)?;
        let told = losses.iter().map(Loss::to_string);
        if matches!(losses.first(), Some(Loss::MissingLog { .. })) {
            return Ok(VerifyReport::of_faults(told));
        }
        let file = std::fs::metadata(path).map_err(SqliteError::io(path))?;
        if losses.is_empty() && is_unfinished_start(path, file.len()) {
            return Ok(VerifyReport { is_unfinished_start: true, ..VerifyReport::default() });
        }
        if file.len() == 0 {
            let fault = format!("{}: the file is empty, and no order store", path.display());
            return Ok(VerifyReport::of_faults([fault]));
        }
        // With a write-ahead log that is not its own nothing in it would be what it is.
        let is_alone = losses.iter().any(Loss::is_of_other_wal);
        let opened =
            if is_alone { OutsideFile::open_alone(path, path) } else { OutsideFile::open(path, path) };
        let opened = opened.and_then(|log| {
            check_log(&log.connection, path, &[LogKind::Store, LogKind::Replica])?;
            let identity = identity(&log.connection);
            Ok((identity.map_err(|error| SqliteError::damaged_or_failed(path, error))?, log))
        });
        match opened {
            Ok((identity, log)) => check(&log.connection, path, identity, &losses, progress),
            // Beside a write-ahead log SQLite reads nothing before it has played a journal back.
            Err(_) if losses.iter().any(|loss| matches!(loss, Loss::Journal { .. })) => {
                let unread = "no event can be read while the rollback journal is there".to_owned();
                Ok(VerifyReport::of_faults(told.chain([unread])))
            }
            Err(error) if is_fault(&error) => {
                Ok(VerifyReport::of_faults(told.chain([format!("no event can be read: {}", named(&error))])))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a server was killed while it made a new store, and has left a log in which there is nothing yet. The next start goes on with
/// it. Where no server has left its lock, it may be a store that somebody has lost.
fn is_unfinished_start(path: &Path, bytes: u64) -> bool {
    let has_nothing = || {
        let log = OutsideFile::open(path, path);
        log.is_ok_and(|log| is_empty(&log.connection).unwrap_or_default())
    };
    lock_path(path).exists() && (bytes == 0 || has_nothing())
}

/// What is wrong with a file, without the advice to run `verify`.
fn named(error: &SqliteError) -> String {
    if let SqliteError::Sqlite { path, cause } = error {
        return format!("{}: {cause}", path.display());
    }
    if let SqliteError::Corrupt { path, what } = error {
        return format!("{}: {what}", path.display());
    }
    error.to_string()
}

/// Whether a file that is there cannot be opened because of what is in it.
fn is_fault(error: &SqliteError) -> bool {
    match error {
        SqliteError::NotAStore { .. } | SqliteError::Corrupt { .. } => true,
        SqliteError::Sqlite { cause, .. } => is_damage(cause),
        SqliteError::InUse { .. }
        | SqliteError::Linked { .. }
        | SqliteError::Lost { .. }
        | SqliteError::NothingLeft { .. }
        | SqliteError::Newer { .. }
        | SqliteError::Older { .. }
        | SqliteError::Copying { .. }
        | SqliteError::Replica { .. }
        | SqliteError::NotAReplica { .. }
        | SqliteError::Io { .. }
        | SqliteError::Stopped => false,
    }
}

/// Checks a log that nobody is writing to, and its views. `losses`: what is known to be missing.
pub(super) fn check(
    log: &Connection,
    path: &Path,
    identity: Uuid,
    losses: &[Loss],
    progress: VerifyProgress<'_>,
) -> Result<VerifyReport, SqliteError> {
    let mut findings = Findings::new(progress);
    // All receipts are gone through, and not only some.
    let told_here = losses.iter().filter(|loss| !matches!(loss, Loss::MissingReceipts { .. }));
    told_here.for_each(|loss| findings.fault(loss.to_string()));
    check_pages(log, path, &mut findings);
    check_schema_text(log, &mut findings);
    let views = CheckedViews::open(log, path, identity, &mut findings)?;
    let rows = LogRows::of(log, views.as_ref().map(CheckedViews::position));
    let parts = check_rows(&rows, &mut findings);
    check_checkpoints(log, &mut findings);
    receipts::check(log, path, &mut findings);
    if let Some(views) = &views {
        views.check_receipt_index(log, &mut findings);
    }
    findings.expect_rows(rows.end.0);
    let mut viewed = Viewed::default();
    for part in parts {
        let mut orders = CheckedOrders::viewed_to(views.as_ref().map_or(rows.end, CheckedViews::position));
        rows.visit(part, &mut |row| orders.add(row, &mut findings));
        findings.report.orders += orders.by_id.len() as u64;
        receipts::check_events(log, part, &orders, &mut findings);
        if let Some(views) = &views {
            views.check_orders(&orders, &mut viewed, &mut findings);
        }
    }
    if let Some(views) = &views {
        views.check_count(viewed.orders, &mut findings);
        views.check_index(viewed.orders, &mut findings);
        views.check_terms(rows.end, &viewed, &mut findings);
    }
    Ok(findings.report)
}

/// SQLite's own check of the file.
fn check_pages(log: &Connection, path: &Path, findings: &mut Findings<'_>) {
    let check = || {
        let mut statement = log.prepare(&format!("PRAGMA quick_check({MAX_PAGE_FAULTS})"))?;
        statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
    };
    match check() {
        Ok(faults) => {
            for fault in faults.into_iter().filter(|fault| fault != "ok") {
                findings.fault(format!("{}: {fault}", path.display()));
            }
        }
        Err(error) => findings.fault(format!("{}: its pages cannot be checked: {error}", path.display())),
    }
}

/// That the tables are declared as this release declares them: what reads today may not be written tomorrow.
fn check_schema_text(log: &Connection, findings: &mut Findings<'_>) {
    match (schema_text(log), declared_schema(log)) {
        (Ok(found), Ok(declared)) => {
            for (name, text) in declared {
                if found.get(&name) != Some(&text) {
                    findings.fault(format!("the table {name} is not declared as it was"));
                }
            }
        }
        (Err(error), _) | (_, Err(error)) => findings.fault(format!("the tables' declarations: {error}")),
    }
}

/// Reads every row, and answers with the parts that the orders are to be gone through in.
fn check_rows(rows: &LogRows<'_>, findings: &mut Findings<'_>) -> impl Iterator<Item = Part> + use<> {
    let mut check = LogCheck::default();
    findings.expect_rows(rows.end.0);
    rows.visit(Part::WHOLE, &mut |row| check.add(&row, findings));
    let parts = check.finish(rows.end, findings);
    if check.is_out_of_order {
        rows.visit_unfindable(&mut |first, last| {
            findings.fault(format!(
                "the events at positions {first} to {last} are not found where they should be"
            ));
        });
    }
    parts
}

/// That they can be read. How far they go is held against the log with the losses.
fn check_checkpoints(log: &Connection, findings: &mut Findings<'_>) {
    if let Err(error) = follower_checkpoints::load_all(log) {
        findings.fault(format!("the checkpoints: {error}"));
    }
}
