use std::borrow::Cow;

use order_domain::{Cents, PaymentAuthorized, PaymentId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
}

pub(super) fn encode(event: &PaymentAuthorized) -> Shape<'_> {
    Shape { payment_id: Cow::Borrowed(event.payment_id.as_str()), amount_cents: event.amount.get() }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<PaymentAuthorized, CodecError> {
    Ok(PaymentAuthorized {
        payment_id: PaymentId::new(shape.payment_id).map_err(refused("payment_id"))?,
        amount: Cents::new(shape.amount_cents).map_err(refused("amount_cents"))?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden(
            "order.payment_authorized.v1.json",
            OrderEvent::PaymentAuthorized(PaymentAuthorized {
                payment_id: PaymentId::new("pay-001").unwrap(),
                amount: Cents::new(3200).unwrap(),
            }),
        );
    }
}
