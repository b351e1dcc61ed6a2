//! Faults that tests plant to see their checkers go red. A build without the feature `planted-faults` has none of this,
//! and one with it does nothing unless the environment names a fault:
//!
//! | fault | |
//! |---|---|
//! | `unchecked-views`, `unchecked-events` | a row is taken for what it says, whatever its checksum |
//! | `unchecked-absence` | an order that is not found is taken for one that there is not |
//! | `unchecked-keys` | a receipt that is not found is taken for one that there is not |
//! | `unchecked-files` | files of a store are opened whether or not they belong together |
//! | `receipts-before-events` | a backup has events that came after its receipts, on any store |
//! | `end-after-receipts`, `-ids`, `-orders`, `-positions` | the process ends in the middle of a batch for the views |
//! | `ack-before-commit` | appends are said to be durable before anything is written |
//! | `ack-failed-commit` | appends are said to be durable though their commit has failed |
//! | `late-but-written` | appends that are refused because they have waited too long are written all the same |

use std::sync::LazyLock;

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static PLANTED: LazyLock<String> = LazyLock::new(|| std::env::var(VARIABLE).unwrap_or_default());

/// Whether this is the fault.
pub(crate) fn is_planted(fault: &str) -> bool {
    *PLANTED == fault
}

/// Ends the process at once, if this is the place.
pub(crate) fn end_here(place: &str) {
    if is_planted(place) {
        std::process::abort();
    }
}
