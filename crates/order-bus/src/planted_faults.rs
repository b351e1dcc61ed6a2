//! Faults that tests plant to see their checkers go red. A build without the feature `planted-faults` has none of this, and
//! one with it does nothing unless the environment names the fault.

/// A checkpoint that moves before the acknowledgement is believed, though its own evidence says less.
pub(crate) fn checkpoint_before_ack() -> bool {
    std::env::var_os("ORDER_SERVICE_PLANTED_FAULT").is_some_and(|planted| planted == "checkpoint-before-ack")
}
