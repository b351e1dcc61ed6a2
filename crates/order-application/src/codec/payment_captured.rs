use std::borrow::Cow;

use order_domain::{CaptureId, PaymentCaptured};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{PaymentShape, cents, decode_payments, encode_payments};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.payment_captured.v1";

/// Authorised money was taken.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentCapturedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the capture.
    capture_id: Cow<'a, str>,
    /// How much, in minor units.
    amount_cents: i64,
    /// How much of which payments.
    shares: Vec<PaymentShape<'a>>,
}

pub(super) fn encode(event: &PaymentCaptured) -> Shape<'_> {
    Shape {
        capture_id: Cow::Borrowed(event.capture_id.as_str()),
        amount_cents: event.amount.get(),
        shares: encode_payments(&event.shares),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<PaymentCaptured, CodecError> {
    Ok(PaymentCaptured {
        capture_id: CaptureId::new(shape.capture_id).map_err(refused("capture_id"))?,
        amount: cents("amount_cents", shape.amount_cents)?,
        shares: decode_payments(shape.shares)?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden(
            "order.payment_captured.v1.json",
            OrderEvent::PaymentCaptured(PaymentCaptured {
                capture_id: CaptureId::new("cap-001").unwrap(),
                amount: Cents::new(3200).unwrap(),
                shares: vec![PaymentShare {
                    payment_id: PaymentId::new("pay-001").unwrap(),
                    amount: Cents::new(3200).unwrap(),
                }],
            }),
        );
    }
}
