//! Checks that tests leave out to see their checkers go red. A build without the feature `planted-faults` has none of this,
//! and one with it does nothing unless the environment names a check.

use std::sync::LazyLock;

/// Names the check to leave out.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static PLANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// Whether a row of the views is taken for what it says, whatever its checksum.
pub(super) fn views() -> bool {
    PLANTED.as_deref() == Some("unchecked-views")
}

/// Whether an order that is not found is taken for one that there is not.
pub(super) fn absence() -> bool {
    PLANTED.as_deref() == Some("unchecked-absence")
}

/// Whether a row of the log is taken for what it says.
pub(super) fn events() -> bool {
    PLANTED.as_deref() == Some("unchecked-events")
}
