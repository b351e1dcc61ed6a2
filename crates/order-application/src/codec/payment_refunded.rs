use std::borrow::Cow;

use order_domain::{PaymentRefunded, RefundId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{PaymentShape, cents, decode_payments, decode_reason, encode_payments, encode_reason};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.payment_refunded.v1";

/// Money was given back.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentRefundedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the refund.
    refund_id: Cow<'a, str>,
    /// How much, in minor units.
    amount_cents: i64,
    /// How much of which payments.
    shares: Vec<PaymentShape<'a>>,
    /// Whether what goes beyond what was owed back stays due.
    repay: bool,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &PaymentRefunded) -> Shape<'_> {
    Shape {
        refund_id: Cow::Borrowed(event.refund_id.as_str()),
        amount_cents: event.amount.get(),
        shares: encode_payments(&event.shares),
        repay: event.repay,
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<PaymentRefunded, CodecError> {
    Ok(PaymentRefunded {
        refund_id: RefundId::new(shape.refund_id).map_err(refused("refund_id"))?,
        amount: cents("amount_cents", shape.amount_cents)?,
        shares: decode_payments(shape.shares)?,
        repay: shape.repay,
        reason: decode_reason(shape.reason)?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_files_say_what_the_event_says() {
        assert_golden(
            "order.payment_refunded.v1.json",
            OrderEvent::PaymentRefunded(PaymentRefunded {
                refund_id: RefundId::new("ref-001").unwrap(),
                amount: Cents::new(3200).unwrap(),
                shares: vec![PaymentShare {
                    payment_id: PaymentId::new("pay-001").unwrap(),
                    amount: Cents::new(3200).unwrap(),
                }],
                repay: true,
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.payment_refunded.v1-plain.json",
            OrderEvent::PaymentRefunded(PaymentRefunded {
                refund_id: RefundId::new("ref-001").unwrap(),
                amount: Cents::new(3200).unwrap(),
                shares: vec![PaymentShare {
                    payment_id: PaymentId::new("pay-001").unwrap(),
                    amount: Cents::new(3200).unwrap(),
                }],
                repay: true,
                reason: None,
            }),
        );
    }
}
