//! Checking a backup from end to end, as a store is checked: every part, every event, every order's history, and every
//! receipt.

use std::path::Path;

use order_application::{Position, RecordedEvent};
use twox_hash::XxHash3_64;

use super::BackupDirError;
use super::directory::BackupDir;
use super::manifest::{EventPart, FinishedRun, Manifest};
use super::part::{EventReader, read_receipts};
use crate::verify::{CheckedOrders, Findings, LogCheck, LogRow, Part, VerifyProgress, VerifyReport};

/// Checks the backup in a directory: see [`VerifyReport`]. `progress` is told events done and events in all.
///
/// # Errors
/// There is no backup, or it cannot be read. What is wrong inside it is in the report.
pub fn verify_backup(directory: &Path, progress: VerifyProgress<'_>) -> Result<VerifyReport, BackupDirError> {
    let (dir, manifest) = match BackupDir::open_to_read(directory) {
        Ok(opened) => opened,
        Err(error) => return Ok(VerifyReport::of_faults([fault(error)?])),
    };
    let Some(run) = &manifest.finished else {
        return Err(BackupDirError::Unfinished(directory.to_owned()));
    };
    let mut findings = Findings::new(progress);
    check_events(&dir, &manifest, &mut findings)?;
    check_receipts(&dir, run, &mut findings)?;
    Ok(findings.report)
}

/// Every event in its place first, then the orders, part by part.
fn check_events(
    dir: &BackupDir,
    manifest: &Manifest,
    findings: &mut Findings<'_>,
) -> Result<(), BackupDirError> {
    let end = manifest.events_end();
    findings.expect_rows(end.0);
    let mut check = LogCheck::default();
    for part in &manifest.events {
        let event_row = |event| LogRow::Event { event, order_key: None };
        let read = read_part(dir, part, &mut |event| check.add(&event_row(event), findings));
        if let Err(error) = read {
            let (first, last) = (Position(part.first), Position(part.last));
            check.add(&LogRow::Unreadable { first, last, why: fault(error)? }, findings);
        }
    }
    let parts = check.finish(end, findings);
    if !findings.report.is_sound() {
        return Ok(());
    }
    findings.expect_rows(end.0);
    for orders_of in parts {
        let mut orders = CheckedOrders::viewed_to(end);
        for part in &manifest.events {
            read_part(dir, part, &mut |event| {
                if is_of_part(&event, orders_of) {
                    orders.add(LogRow::Event { event, order_key: None }, findings);
                }
            })?;
        }
        findings.report.orders += orders.by_id.len() as u64;
    }
    Ok(())
}

fn read_part(
    dir: &BackupDir,
    part: &EventPart,
    visit: &mut dyn FnMut(RecordedEvent),
) -> Result<(), BackupDirError> {
    let mut events = EventReader::open(dir, part)?;
    while let Some(event) = events.next()? {
        visit(event);
    }
    Ok(())
}

/// That each is what was written. What they should be, nothing in the log tells.
fn check_receipts(
    dir: &BackupDir,
    run: &FinishedRun,
    findings: &mut Findings<'_>,
) -> Result<(), BackupDirError> {
    for part in &run.receipts {
        if let Err(error) = read_receipts(dir, part) {
            findings.fault(fault(error)?);
        }
    }
    Ok(())
}

/// The part of the orders that an event belongs to.
fn is_of_part(event: &RecordedEvent, part: Part) -> bool {
    XxHash3_64::oneshot(event.order_id.as_str().as_bytes()) % part.of == part.number
}

/// What is wrong inside a file is a fault; that it cannot be read is none of the backup's.
fn fault(error: BackupDirError) -> Result<String, BackupDirError> {
    if error.is_damage() { Ok(error.to_string()) } else { Err(error) }
}
