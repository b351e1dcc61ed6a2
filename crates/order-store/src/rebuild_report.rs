/// What rebuilding a store's views came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RebuildReport {
    /// Events that were gone through: all of the log.
    pub events: u64,
    /// Orders that have a view now.
    pub orders: u64,
    /// How many of these cannot be read: a newer release is needed, or their events are damaged. Their views say so.
    pub unreadable: u64,
}
