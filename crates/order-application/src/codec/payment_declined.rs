use std::borrow::Cow;

use order_domain::{PaymentDeclined, PaymentId, Reason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.payment_declined.v1";

/// A payer did not get the money.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentDeclinedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the payment.
    payment_id: Cow<'a, str>,
    /// Why.
    reason: Cow<'a, str>,
}

pub(super) fn encode(event: &PaymentDeclined) -> Shape<'_> {
    Shape {
        payment_id: Cow::Borrowed(event.payment_id.as_str()),
        reason: Cow::Borrowed(event.reason.as_str()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<PaymentDeclined, CodecError> {
    Ok(PaymentDeclined {
        payment_id: PaymentId::new(shape.payment_id).map_err(refused("payment_id"))?,
        reason: Reason::new(shape.reason).map_err(refused("reason"))?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden(
            "order.payment_declined.v1.json",
            OrderEvent::PaymentDeclined(PaymentDeclined {
                payment_id: PaymentId::new("pay-001").unwrap(),
                reason: Reason::new("A \"reason\"").unwrap(),
            }),
        );
    }
}
