//! What a check found.

/// Faults that are told; the rest is counted. Enough to name every event of a damaged file that is worth mending, and little
/// enough to hold.
const MAX_TOLD_FAULTS: usize = 50_000;

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events in the log.
    pub events: u64,
    /// Orders in the log.
    pub orders: u64,
    /// What is wrong: the first 50,000.
    pub faults: Vec<String>,
    /// Faults beyond those.
    pub more_faults: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_TOLD_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}
