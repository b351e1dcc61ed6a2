//! What the customer no longer wants.

pub(crate) mod cancel;
pub(crate) mod cancel_unpaid;

pub use cancel::{CancelUnits, LinesCancelled, OrderCancelled};
pub use cancel_unpaid::CancelUnpaidOrder;

use crate::order::units::LineUnits;
use crate::values::text::CancellationId;

/// A cancellation that a client named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// The client's name for it.
    pub id: CancellationId,
    /// What was cancelled, by line, ascending.
    pub units: Vec<LineUnits>,
}
