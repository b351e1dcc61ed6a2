//! The money that stands for an order.

pub(crate) mod authorize;

pub use authorize::{AuthorizePayment, PaymentAuthorized};

use crate::order::ledger::PaymentLedger;
use crate::values::text::PaymentId;

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The client's name for it.
    pub id: PaymentId,
    /// What became of its money.
    pub ledger: PaymentLedger,
}
