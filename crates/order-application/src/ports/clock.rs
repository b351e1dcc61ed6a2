//! The time of day.

use order_domain::Timestamp;

/// Tells the time. Times are labels: nothing is ordered by them, so they may jump.
pub trait Clock: Send + Sync + 'static {
    /// Now, in microseconds.
    fn now(&self) -> Timestamp;

    /// Why nothing should be done that cannot be undone because of what it shows: a better one shows another time. `None`: nothing
    /// is known against it.
    fn doubt(&self) -> Option<String> {
        None
    }
}
