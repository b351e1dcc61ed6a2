//! The newest receipts, held against the orders that the log makes: a receipt is committed together with the events that it is of.

use order_application::Receipt;

use crate::sqlite::log::{Log, receipts};
use crate::sqlite::loss::Loss;
use crate::sqlite::readers::Readers;
use crate::sqlite_error::SqliteError;

/// What is looked at when a store is opened: an end that was lost has the newest. A check of the store looks at all.
const LOOKED_AT: usize = 256;
/// Receipts that are read at a time.
const PAGE: usize = 2_000;

/// What the newest receipts know of and the log does not have. `readers`: of views that have come to the log's end.
pub(crate) fn lost_events(log: &Log, readers: &Readers) -> Result<Option<Loss>, SqliteError> {
    // Without checksums there is no telling damage from a loss.
    #[cfg(feature = "planted-faults")]
    if ["unchecked-files", "unchecked-views", "unchecked-events", "unchecked-absence"]
        .into_iter()
        .any(crate::sqlite::planted_faults::is_planted)
    {
        return Ok(None);
    }
    let newest = receipts::newest_ones(log.connection(), LOOKED_AT);
    let newest = newest.map_err(|error| SqliteError::damaged_or_failed(log.path(), error))?;
    let lost: Vec<_> = newest.iter().filter(|receipt| is_of_lost_event(readers, receipt)).collect();
    Ok(lost.first().map(|receipt| Loss::MissingEvent {
        log: log.path().to_owned(),
        order_id: receipt.order_id.clone(),
        version: receipt.version,
        receipts: lost.len(),
    }))
}

/// An order that cannot be read proves nothing.
fn is_of_lost_event(readers: &Readers, receipt: &Receipt) -> bool {
    match readers.stream_state(&receipt.order_id) {
        Ok(Some(order)) => !order.is_damaged && order.version < receipt.version,
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Deletes all receipts whose events are lost: commands that are sent again are carried out then. The numbers of newest ones are given
/// again, so no views may be left that know them.
pub(crate) fn delete_those_of_lost_events(log: &Log, readers: &Readers) -> Result<(), SqliteError> {
    let failed = SqliteError::sqlite(log.path());
    let (mut after, mut lost) = (0, Vec::new());
    loop {
        let page = receipts::numbered_after(log.connection(), after, PAGE).map_err(&failed)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let is_lost = |receipt: &Option<Receipt>| {
            receipt.as_ref().is_some_and(|receipt| is_of_lost_event(readers, receipt))
        };
        lost.extend(page.iter().filter(|(_, receipt)| is_lost(receipt)).map(|(number, _)| *number));
    }
    let deleted = log.delete_lost_receipts(&lost).map_err(failed)?;
    tracing::warn!(receipts = deleted, "receipts whose events are missing were deleted");
    Ok(())
}
