//! Saying a fault once that may be met again with every request, and how often it was when it is over.

use std::sync::atomic::{AtomicU64, Ordering};

/// One fault, as often as it is met. Whoever meets it says so if it is the first time, and whoever finds all well says how
/// often it was met since:
///
/// ```
/// # use order_application::RepeatedFault;
/// let full = RepeatedFault::default();
/// assert!(full.is_news(), "this is said");
/// assert!(!full.is_news(), "this is counted");
/// assert_eq!(full.over(), Some(1));
/// assert_eq!(full.over(), None, "there is nothing to say");
/// ```
#[derive(Debug, Default)]
pub struct RepeatedFault {
    /// Since it was last over.
    met: AtomicU64,
}

impl RepeatedFault {
    /// Counts that the fault was met. `true`: for the first time since it was last over, so that it is to be said.
    pub fn is_news(&self) -> bool {
        self.met.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Notes that all is well. If the fault was met before: how often beyond the time that was said.
    pub fn over(&self) -> Option<u64> {
        // Mostly there is none, and nobody is to wait for others to say so.
        if self.met.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.met.swap(0, Ordering::Relaxed).checked_sub(1)
    }
}
