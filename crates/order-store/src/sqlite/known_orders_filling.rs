//! The thread that fills the filter of known orders from the views while the store already serves.

use std::sync::Arc;

use crate::sqlite::state::StoreState;
use crate::sqlite::threads::StoreThread;
use crate::sqlite_error::OpenError;

/// Entries of the index that are read at a time.
const PAGE_ENTRIES: usize = 20_000;

pub(crate) fn start(shared: Arc<StoreState>) -> Result<StoreThread, OpenError> {
    let log_path = shared.log_path.clone();
    StoreThread::start("known-orders", &log_path, move || fill(&shared))
}

fn fill(shared: &StoreState) {
    let rebuilds = &shared.readers.rebuilds;
    let known = &shared.known_orders;
    // First what the views do not have yet; what is placed from now on, the writer adds.
    shared.readers.overlay.for_each_order(&mut |order_id| known.add(order_id));
    let mut from = None;
    while !rebuilds.is_finished() {
        let number = shared.readers.served_file().number;
        // An entry that is lost would make its order seem new.
        match shared.readers.proven_entries(from, PAGE_ENTRIES) {
            Ok(proven) => {
                known.add_hashes(proven.entries.iter().map(|(hash, _)| *hash));
                from = proven.next;
                if from.is_none() {
                    known.complete();
                    return;
                }
            }
            Err(error) => {
                // Placing orders goes on, with a look-up for each.
                tracing::warn!(%error, "cannot read the index of orders to speed up placing");
                // Views that are made anew have the same hashes, and have them all.
                let is_new_file = number != shared.readers.served_file().number;
                if !(is_new_file || rebuilds.are_wanted()) || !rebuilds.wait_until_mended() {
                    return;
                }
                from = None;
            }
        }
    }
}
