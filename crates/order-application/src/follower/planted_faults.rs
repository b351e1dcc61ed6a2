//! A fault that tests plant to see their checker go red. A build without the feature `planted-faults` has none of this, and
//! one with it does nothing unless the environment names the fault.

use std::sync::LazyLock;

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static CHECKPOINT_BEFORE_ACK: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os(VARIABLE).is_some_and(|fault| fault == "checkpoint-before-ack"));

pub(super) fn checkpoint_before_ack() -> bool {
    *CHECKPOINT_BEFORE_ACK
}
