//! The first pass: every row of the log by itself.

use order_application::Position;

use super::{Findings, LogRow, Part};

/// Event data that is folded in one pass. The orders that it makes take about twice as much.
const BYTES_PER_PART: u64 = 48 * 1024 * 1024;

/// Takes the log's rows in their order.
#[derive(Debug, Default)]
pub(crate) struct LogCheck {
    /// The last position that a row had which is what was written, or that was told.
    last: Position,
    bytes: u64,
    /// Whether rows came in another order than that of their positions, or not all of them: then a row that was met on the
    /// way may not be found by its position.
    pub(crate) is_out_of_order: bool,
}

impl LogCheck {
    pub(crate) fn add(&mut self, row: &LogRow, findings: &mut Findings<'_>) {
        findings.count_row();
        let expected = self.last.plus(1);
        match row {
            LogRow::Event { event, .. } => {
                findings.report.events += 1;
                self.bytes += event.data.len() as u64;
                self.is_out_of_order |= event.position != expected;
                if event.position < expected {
                    findings.fault(format!("event at position {}: it is not in its place", event.position));
                } else if event.position > expected {
                    self.gap(Position(event.position.0 - 1), findings);
                }
                self.last = event.position.max(self.last);
            }
            LogRow::Damaged { position, error, .. } => {
                findings.report.events += 1;
                findings.fault(error.to_string());
                // Where the position itself is wrong, what is missing there is told with the next row.
                if *position == Some(expected) {
                    self.last = expected;
                }
            }
            LogRow::Unreadable { first, last, why } => {
                findings.fault(match last.0 - first.0 {
                    0 => format!("event at position {first}: it cannot be read: {why}"),
                    _ => format!("events at positions {first} to {last}: they cannot be read: {why}"),
                });
                self.last = self.last.max(*last);
                self.is_out_of_order = true;
            }
        }
    }

    /// Takes the end of the log, as far as it is known, and answers with the parts that the orders are to be gone through
    /// in, so that one fits in memory.
    pub(crate) fn finish(
        &mut self,
        end: Position,
        findings: &mut Findings<'_>,
    ) -> impl Iterator<Item = Part> + use<> {
        if end > self.last {
            self.gap(end, findings);
        }
        let of = self.bytes.div_ceil(BYTES_PER_PART).max(1);
        (0..of).map(move |number| Part { number, of })
    }

    fn gap(&mut self, last: Position, findings: &mut Findings<'_>) {
        findings.fault(format!("the log has no events at positions {} to {last}", self.last.plus(1)));
        self.last = last;
    }
}
