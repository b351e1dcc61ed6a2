//! Fills the filter of known orders from the views while the store already serves.

use crate::sqlite::state::StoreState;
use crate::sqlite::views::id_ranges::GROUPS;

/// Adds all orders that there are. Without one of them the filter would take it for new: so it is of no use until the views
/// prove that these are all.
pub(super) fn fill(shared: &StoreState) {
    let known = &shared.known_orders;
    // First what the views do not have yet; what is placed from now on, the writer adds.
    shared.readers.overlay.for_each_order(&mut |order_id| known.add(order_id));
    for group in GROUPS {
        if shared.readers.rebuilds.is_finished() {
            return;
        }
        match shared.readers.proven_entries(group) {
            Ok(entries) => known.add_hashes(entries.iter().map(|(hash, _)| *hash)),
            Err(error) => {
                // Placing orders goes on, with a look-up for each.
                tracing::warn!(%error, "cannot read the index of orders to speed up placing");
                return;
            }
        }
    }
    known.complete();
}
