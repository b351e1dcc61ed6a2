//! The receipts, and the index that finds them.

use std::path::Path;

use order_application::{Receipt, Version};
use rusqlite::Connection;

use crate::sqlite::log::LogError;
use crate::sqlite::log::accepted_losses::visit_missing_receipts;
use crate::sqlite::log::receipts::{visit_all, visit_keys, visit_some};
use crate::sqlite::loss::Loss;
use crate::sqlite::verify::rows::is_of_part;
use crate::sqlite::verify::views::CheckedViews;
use crate::sqlite::views::ViewsError;
use crate::sqlite::views::receipt_index::{self, RANGES, ReceiptEntry};
use crate::verify::{CheckedOrders, Findings, Part};

/// That each is what was written, and that none is missing in the middle. What they should be, nothing in the log tells.
pub(super) fn check(log: &Connection, path: &Path, findings: &mut Findings<'_>) {
    let visited = visit_all(log, &mut |receipt| {
        if let Err(error) = receipt {
            findings.fault(error.to_string());
        }
    });
    let visited = visited.and_then(|()| {
        visit_missing_receipts(log, &mut |gap| findings.fault(Loss::of_receipts(path, gap).to_string()))
    });
    if let Err(error) = visited {
        findings.fault(format!("the receipts: {error}"));
    }
}

/// That the orders of a part have the events that receipts are of: these were committed together.
pub(super) fn check_events(
    log: &Connection,
    part: Part,
    orders: &CheckedOrders,
    findings: &mut Findings<'_>,
) {
    // What cannot be read was told with all receipts.
    let _ = visit_some(log, |order_id| is_of_part(order_id, part), &mut |receipt| {
        let Receipt { order_id, version, .. } = receipt;
        let found = match orders.by_id.get(&order_id) {
            Some(order) => order.version(),
            None => Some(Version::NONE),
        };
        if let Some(found) = found.filter(|found| *found < version) {
            findings.fault(format!(
                "a receipt is of a command that brought order {order_id} to version {version}, and in the log it has version \
                 {found}"
            ));
        }
    });
}

impl CheckedViews {
    /// That the index finds every receipt up to the last that it says it has, and has lost no entry, also none of those
    /// whose receipts were deleted since.
    pub(super) fn check_receipt_index(&self, log: &Connection, findings: &mut Findings<'_>) {
        match self.missing_receipts(log) {
            Ok(0) => {}
            Ok(missing) => findings.fault(format!("views: the index of receipts lacks {missing} of them")),
            Err(error) => findings.fault(format!("views: the index of receipts: {error}")),
        }
        if let Err(error) = self.prove_receipt_index() {
            findings.fault(format!("views: {error}"));
        }
    }

    /// How many receipts the index should find and does not.
    fn missing_receipts(&self, log: &Connection) -> Result<u64, LogError> {
        let (last, seed) = (self.progress.receipts.last, self.progress.hash_seed);
        let mut missing = Ok(0);
        visit_keys(log, 0, usize::MAX, &mut |sequence, key| {
            let entry = ReceiptEntry::new(key, sequence, seed);
            if let Ok(count) = &mut missing
                && sequence <= last
            {
                match receipt_index::has(&self.file.connection, entry) {
                    Ok(true) => {}
                    Ok(false) => *count += 1,
                    Err(error) => missing = Err(error),
                }
            }
        })?;
        Ok(missing?)
    }

    fn prove_receipt_index(&self) -> Result<(), ViewsError> {
        for segment in receipt_index::segments(&self.file.connection)? {
            receipt_index::proven_entries(&self.file.connection, segment, 0..RANGES)?;
        }
        Ok(())
    }
}
