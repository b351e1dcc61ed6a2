use std::borrow::Cow;

use order_domain::{PaymentAuthorized, PaymentId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{cents, decode_expiry, encode_expiry};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.payment_authorized.v1";

/// A payer stands for an amount.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentAuthorizedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the payment.
    payment_id: Cow<'a, str>,
    /// Minor units of the order's currency.
    amount_cents: i64,
    /// How long it was asked to hold; absent: until it is voided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u32>,
    /// Until when it was asked to hold; absent: until it is voided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

pub(super) fn encode(event: &PaymentAuthorized) -> Shape<'_> {
    let (expires_in_seconds, expires_at) = encode_expiry(event.expires);
    Shape {
        payment_id: Cow::Borrowed(event.payment_id.as_str()),
        amount_cents: event.amount.get(),
        expires_in_seconds,
        expires_at,
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<PaymentAuthorized, CodecError> {
    Ok(PaymentAuthorized {
        payment_id: PaymentId::new(shape.payment_id).map_err(refused("payment_id"))?,
        amount: cents("amount_cents", shape.amount_cents)?,
        expires: decode_expiry("expires_at", shape.expires_in_seconds, shape.expires_at)?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_files_say_what_the_event_says() {
        let authorized = |expires| {
            OrderEvent::PaymentAuthorized(PaymentAuthorized {
                payment_id: PaymentId::new("pay-001").unwrap(),
                amount: Cents::new(3200).unwrap(),
                expires,
            })
        };
        assert_golden("order.payment_authorized.v1.json", authorized(None));
        let at = Timestamp::from_micros(1_767_226_500_000_000);
        assert_golden(
            "order.payment_authorized.v1-expires.json",
            authorized(Some(Expiry { seconds: 900, at })),
        );
    }
}
