//! The time of day.

use order_domain::Timestamp;

/// Tells the time. Times are labels: nothing is ordered by them, so they may jump.
pub trait Clock: Send + Sync + 'static {
    /// Now, in microseconds.
    fn now(&self) -> Timestamp;
}
