use std::borrow::Cow;

use order_domain::{PaymentVoided, VoidId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{
    CauseShape, PaymentShape, decode_cause, decode_payments, decode_reason, encode_cause, encode_payments,
    encode_reason,
};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.payment_voided.v1";

/// Of authorised payments, something will not be captured.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentVoidedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the void; absent: the service did it, as `cause` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    void_id: Option<Cow<'a, str>>,
    /// Why the service did it; absent: a client asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<CauseShape>,
    /// How much of which payments.
    shares: Vec<PaymentShape<'a>>,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &PaymentVoided) -> Shape<'_> {
    Shape {
        void_id: event.void_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        cause: encode_cause(event.cause),
        shares: encode_payments(&event.shares),
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<PaymentVoided, CodecError> {
    Ok(PaymentVoided {
        void_id: shape.void_id.map(VoidId::new).transpose().map_err(refused("void_id"))?,
        cause: decode_cause(shape.cause),
        shares: decode_payments(shape.shares)?,
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
            "order.payment_voided.v1.json",
            OrderEvent::PaymentVoided(PaymentVoided {
                void_id: Some(VoidId::new("void-001").unwrap()),
                cause: None,
                shares: vec![PaymentShare {
                    payment_id: PaymentId::new("pay-001").unwrap(),
                    amount: Cents::new(3200).unwrap(),
                }],
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.payment_voided.v1-by-itself.json",
            OrderEvent::PaymentVoided(PaymentVoided {
                void_id: None,
                cause: Some(Cause::Cancelled),
                shares: vec![PaymentShare {
                    payment_id: PaymentId::new("pay-001").unwrap(),
                    amount: Cents::new(3200).unwrap(),
                }],
                reason: None,
            }),
        );
    }
}
