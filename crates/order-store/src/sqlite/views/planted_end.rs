//! An end of the process in the middle of a batch, which tests plant. A build without the feature `planted-faults` has none
//! of this, and one with it does nothing unless the environment names where to end.

use std::sync::LazyLock;

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static FAULT: LazyLock<String> = LazyLock::new(|| std::env::var(VARIABLE).unwrap_or_default());

/// Ends the process at once, if this is the place.
pub(super) fn end_here(place: &str) {
    if *FAULT == place {
        std::process::abort();
    }
}
