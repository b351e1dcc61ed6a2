//! What a check found.

/// Faults that are told; the rest is counted. Enough to name every event of a damaged file that is worth repairing, and
/// little enough to hold.
const MAX_TOLD_FAULTS: usize = 50_000;
/// Rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 4_096;

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
    /// There is nothing in it yet: a server was killed while it made the store, and the next start makes it.
    pub is_unfinished_start: bool,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Of a store of which nothing else can be checked.
    pub(crate) fn of_faults(faults: impl IntoIterator<Item = String>) -> Self {
        Self { faults: faults.into_iter().collect(), ..Self::default() }
    }
}

/// Told rows done and rows in all, which becomes more once every row has been read and the orders are gone through.
pub(crate) type VerifyProgress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// What a check has found so far, and how far it is.
pub(crate) struct Findings<'a> {
    pub(crate) report: VerifyReport,
    rows: u64,
    rows_in_all: u64,
    progress: VerifyProgress<'a>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(progress: VerifyProgress<'a>) -> Self {
        Self { report: VerifyReport::default(), rows: 0, rows_in_all: 0, progress }
    }

    pub(crate) fn fault(&mut self, fault: String) {
        if self.report.faults.len() < MAX_TOLD_FAULTS {
            self.report.faults.push(fault);
        } else {
            self.report.more_faults += 1;
        }
    }

    /// So many rows more are going to be gone through.
    pub(crate) fn expect_rows(&mut self, rows: u64) {
        self.rows_in_all += rows;
    }

    pub(super) fn count_row(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_REPORT) {
            (self.progress)(self.rows.min(self.rows_in_all), self.rows_in_all);
        }
    }
}
