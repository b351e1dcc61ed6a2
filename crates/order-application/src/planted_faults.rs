//! Faults that tests plant to see their checkers go red. A build without the feature `planted-faults` has none of this, and
//! one with it does nothing unless the environment names the fault.

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

/// A follower's checkpoint moves before what it did is acknowledged.
pub(crate) fn checkpoint_before_ack() -> bool {
    is_planted("checkpoint-before-ack")
}

/// A relay publishes whatever its broker has.
pub(crate) fn brokers_are_not_compared() -> bool {
    is_planted("brokers-are-not-compared")
}

fn is_planted(fault: &str) -> bool {
    std::env::var_os(VARIABLE).is_some_and(|planted| planted == fault)
}
