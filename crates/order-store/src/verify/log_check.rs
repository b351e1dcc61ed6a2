//! The first pass: every row of the log by itself.

use order_application::{Position, RecordedEvent, StoreError};

use super::VerifyReport;

/// Event data that is folded in one pass. The orders that it makes take about twice as much.
const BYTES_PER_PARTITION: u64 = 48 * 1024 * 1024;

/// Takes the log's rows in their order.
#[derive(Debug, Default)]
pub(crate) struct LogCheck {
    /// The last position that a row had which is what was written, or that was told.
    last: Position,
    bytes: u64,
    /// Whether rows came in another order than that of their positions, or not all of them.
    pub(crate) is_out_of_order: bool,
}

impl LogCheck {
    /// Takes a row, and the position that it says it has.
    pub(crate) fn add(
        &mut self,
        position: Option<Position>,
        event: &Result<RecordedEvent, StoreError>,
        report: &mut VerifyReport,
    ) {
        report.events += 1;
        let expected = self.last.plus(1);
        match event {
            Ok(event) => {
                self.bytes += event.data.len() as u64;
                self.is_out_of_order |= event.position != expected;
                if event.position < expected {
                    report.fault(format!("event at position {}: it is not in its place", event.position));
                } else if event.position > expected {
                    self.gap(Position(event.position.0 - 1), report);
                }
                self.last = event.position.max(self.last);
            }
            Err(error) => {
                report.fault(error.to_string());
                // Where the position itself is wrong, what is missing there is told with the next row.
                if position == Some(expected) {
                    self.last = expected;
                }
            }
        }
    }

    /// Takes positions that cannot be read.
    pub(crate) fn add_unreadable(
        &mut self,
        first: Position,
        last: Position,
        why: &str,
        report: &mut VerifyReport,
    ) {
        report.fault(match last.0 - first.0 {
            0 => format!("event at position {first}: it cannot be read: {why}"),
            _ => format!("events at positions {first} to {last}: they cannot be read: {why}"),
        });
        self.last = last.max(self.last);
    }

    /// Takes the end of the log, as far as it is known.
    pub(crate) fn finish(&mut self, end: Position, report: &mut VerifyReport) {
        if end > self.last {
            self.gap(end, report);
        }
    }

    fn gap(&mut self, last: Position, report: &mut VerifyReport) {
        report.fault(format!("the log has no events at positions {} to {last}", self.last.plus(1)));
        self.last = last;
    }

    /// In how many partitions the orders are to be gone through, so that one fits in memory.
    pub(crate) fn partitions(&self) -> u64 {
        self.bytes.div_ceil(BYTES_PER_PARTITION).max(1)
    }
}
