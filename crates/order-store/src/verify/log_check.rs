//! The first pass: every row of the log by itself.

use order_application::{RecordedEvent, StoreError};

use super::VerifyReport;

/// Event data that is folded in one pass. The orders that it makes take about twice as much.
const BYTES_PER_PARTITION: u64 = 48 * 1024 * 1024;

/// Takes the log's rows in the order of their positions.
#[derive(Debug, Default)]
pub(crate) struct LogCheck {
    last_position: u64,
    bytes: u64,
}

impl LogCheck {
    pub(crate) fn add(
        &mut self,
        position: u64,
        event: &Result<RecordedEvent, StoreError>,
        report: &mut VerifyReport,
    ) {
        let expected = self.last_position + 1;
        if position != expected {
            let before = position.saturating_sub(1);
            report.fault(format!("the log has no events at positions {expected} to {before}"));
        }
        self.last_position = position;
        report.events += 1;
        match event {
            Ok(event) => self.bytes += event.data.len() as u64,
            Err(error) => report.fault(error.to_string()),
        }
    }

    /// In how many partitions the orders are to be gone through, so that one fits in memory.
    pub(crate) fn partitions(&self) -> u64 {
        self.bytes.div_ceil(BYTES_PER_PARTITION).max(1)
    }
}
