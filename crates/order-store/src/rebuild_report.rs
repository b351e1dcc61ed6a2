/// What was made anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Events that the views are derived from.
    pub events: u64,
    /// Orders that have a view.
    pub orders: u64,
    /// Of these, how many cannot be read, and have a view that says so.
    pub unreadable: u64,
}
