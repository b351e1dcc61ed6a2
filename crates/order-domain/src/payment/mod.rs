//! The money that stands for an order: promised, taken, given back.

pub(crate) mod authorize;
pub(crate) mod capture;
pub(crate) mod decline;
pub(crate) mod expire;
pub(crate) mod refund;
pub(crate) mod void;

pub use authorize::{AuthorizePayment, PaymentAuthorized};
pub use capture::{Capture, CapturePayment, PaymentCaptured};
pub use decline::{DeclinePayment, PaymentDeclined};
pub use expire::ExpireAuthorization;
pub use refund::{PaymentRefunded, Refund, RefundPayment};
pub use void::{PaymentVoided, Void, VoidPayment};

use crate::error::{Obstacle, OrderError};
use crate::order::Order;
use crate::order::ledger::PaymentLedger;
use crate::values::money::Cents;
use crate::values::text::PaymentId;
use crate::values::time::Expiry;

/// Most payments of one order, whatever became of them.
pub const MAX_PAYMENTS: usize = 250;
/// Most declined payments of one order.
pub const MAX_DECLINES: usize = 100;

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The client's name for it.
    pub id: PaymentId,
    /// When what is open of it ends by itself; `None`: never.
    pub expires: Option<Expiry>,
    /// What became of its money.
    pub ledger: PaymentLedger,
}

/// What one payment has in a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentShare {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How much of the sum, 1 or more.
    pub amount: Cents,
}

impl Order {
    /// The payment of that id.
    ///
    /// # Errors
    /// [`OrderError::UnknownReference`] if there is none.
    pub(crate) fn payment(&self, id: &PaymentId) -> Result<&Payment, OrderError> {
        let found = self.payments().iter().find(|payment| payment.id == *id);
        found.ok_or_else(|| OrderError::UnknownReference { part: "payment", name: id.to_string() })
    }

    /// Counts each payment's share of a sum into its ledger.
    pub(crate) fn count_shares(
        &mut self,
        shares: &[PaymentShare],
        sum: impl Fn(&mut PaymentLedger) -> &mut Cents,
    ) {
        for share in shares {
            if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == share.payment_id) {
                let sum = sum(&mut payment.ledger);
                *sum = sum.saturating_add(share.amount);
            }
        }
    }
}

/// Takes an amount from sources, one after the other, until there is enough; each says how much it has.
fn take_in_turn<'a>(
    amount: Cents,
    sources: impl IntoIterator<Item = (&'a PaymentId, Cents)>,
) -> Vec<PaymentShare> {
    let mut missing = amount;
    let mut shares = Vec::<PaymentShare>::new();
    for (payment_id, available) in sources {
        let amount = available.min(missing);
        if amount > Cents::ZERO {
            missing = missing.minus_or_zero(amount);
            shares.push(PaymentShare { payment_id: payment_id.clone(), amount });
        }
    }
    shares
}

/// How much of what is authorised and open a command is for: what it names, or all, of which there has to be something.
fn amount_of_open(
    named: Option<Cents>,
    available: Cents,
    nothing_open: impl FnOnce() -> Obstacle,
) -> Result<Cents, OrderError> {
    match named {
        Some(requested) if requested > available => {
            Err(OrderError::AmountExceedsAuthorized { requested, available })
        }
        Some(requested) => Ok(requested),
        None if available == Cents::ZERO => Err(nothing_open().into()),
        None => Ok(available),
    }
}

/// Whether a repeated command's payment is the one whose money was taken: left out, it is.
fn is_all_of(shares: &[PaymentShare], payment_id: Option<&PaymentId>) -> bool {
    payment_id.is_none_or(|named| shares.iter().all(|share| share.payment_id == *named))
}
