use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Kinds of unreadable messages that are logged.
const MAX_KINDS: usize = 16;

/// Tells the first unreadable message of each kind from those that follow.
#[derive(Default)]
pub(super) struct Noise {
    kinds: Mutex<HashSet<String>>,
}

impl Noise {
    /// Logs what is wrong with a message, unless another of its kind was logged.
    pub(super) fn log(&self, fault: &str) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        // What stands in quotes differs from message to message.
        let kind = fault.split('"').next().unwrap_or_default();
        if kinds.len() < MAX_KINDS && kinds.insert(kind.to_owned()) {
            tracing::warn!(
                fault,
                "a message is not an event of this service; it and others like it are skipped"
            );
        }
    }
}
