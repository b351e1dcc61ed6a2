//! Brings the index of receipts up to the log, fills the filter of known keys from it, and looks whether the log lacks any.

use std::ops::ControlFlow;
use std::path::Path;

use order_application::StoreError;

use crate::sqlite::connection::open_log_reader;
use crate::sqlite::log::accepted_losses::{self, ReceiptLook, missing_receipts};
use crate::sqlite::log::receipts::visit_keys;
use crate::sqlite::loss::Loss;
use crate::sqlite::readers::PARTS_OF_SEGMENT;
use crate::sqlite::rebuild::build::LOG_CACHE_KIB;
use crate::sqlite::state::StoreState;
use crate::sqlite::views::known_keys::MAX_FILTERS;
use crate::sqlite::views::receipt_index::ReceiptEntry;
use crate::sqlite::views::{ROWS_PER_COMMIT, Views};
use crate::sqlite_error::SqliteError;

/// Receipts that are read in one transaction. A longer one would keep the write-ahead log from starting anew.
const RECEIPTS_AT_ONCE: usize = 2_000;

/// Adds every receipt that the index lacks to it, also those that come while it does so. `memory` bounds, in bytes, about,
/// what is sorted at a time; `go_on` is asked before each batch.
pub(super) fn bring_up(
    log_path: &Path,
    views: &mut Views,
    memory: usize,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<(), SqliteError> {
    let log = open_log_reader(log_path, LOG_CACHE_KIB).map_err(SqliteError::sqlite(log_path))?;
    let most = (memory / size_of::<ReceiptEntry>()).max(ROWS_PER_COMMIT);
    let seed = views.progress().hash_seed;
    let mut is_at_end = false;
    while !is_at_end {
        if go_on().is_break() {
            return Err(SqliteError::Stopped);
        }
        let mut last = views.progress().receipts.last;
        let mut entries = Vec::new();
        while !is_at_end && entries.len() < most {
            let after = last;
            let visited = visit_keys(&log, last, RECEIPTS_AT_ONCE, &mut |sequence, key| {
                entries.push(ReceiptEntry::new(key, sequence, seed));
                last = sequence;
            });
            let visited = visited.map_err(|error| SqliteError::damaged_or_failed(log_path, error))?;
            is_at_end = visited < RECEIPTS_AT_ONCE;
            // Whatever is missing would be taken for keys that are new.
            let missing = missing_receipts(&log, after, last);
            let missing = missing.map_err(|error| SqliteError::damaged_or_failed(log_path, error))?;
            if let Some(gap) = missing {
                let losses = vec![Loss::of_receipts(log_path, gap)];
                return Err(SqliteError::Lost { path: log_path.to_owned(), losses });
            }
        }
        entries.sort_unstable();
        views.insert_receipts(&entries).map_err(|error| error.at(views.path()))?;
    }
    Ok(())
}

/// Looks whether any receipt is missing, of which the start has looked at some, while the store already serves. That is damage as any
/// other of the log's file.
pub(super) fn find_missing(shared: &StoreState) {
    let mut after = 0;
    while !shared.readers.rebuilds.is_finished() {
        match shared.readers.log.with(|log| Ok(accepted_losses::look_after(log, after)?)) {
            Ok(ReceiptLook::Missing(gap)) => {
                shared.health.log_damage.found(Loss::of_receipts(&shared.log_path, gap).to_string());
                return;
            }
            Ok(ReceiptLook::AllThereTo(last)) => after = last,
            Ok(ReceiptLook::End) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot look whether receipts are missing");
                return;
            }
        }
    }
}

/// Adds all keys that there are, the newest first, while the store already serves; those that come from now on, the writer
/// adds. Without one of them its filter would take it for new: so a filter is of no use until the views have proved that
/// these are all of its segment.
pub(super) fn fill_known_keys(shared: &StoreState) {
    let fill = || -> Result<(), StoreError> {
        for segment in shared.readers.receipt_segments()?.into_iter().take(MAX_FILTERS) {
            for part in 0..PARTS_OF_SEGMENT {
                if shared.readers.rebuilds.is_finished() {
                    return Ok(());
                }
                let entries = shared.readers.proven_receipts(segment, part)?;
                shared.known_keys.add_hashes(segment, entries.iter().map(|entry| entry.hash));
            }
            shared.known_keys.complete(segment);
        }
        Ok(())
    };
    if let Err(error) = fill() {
        // Commands with keys go on, with a look-up for each.
        tracing::warn!(%error, "cannot read the index of receipts to speed up commands with keys");
    }
}
