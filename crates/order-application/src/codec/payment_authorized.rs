//! `order.payment_authorized.v1`

use std::borrow::Cow;

use order_domain::{Cents, PaymentAuthorized, PaymentId};
use serde::{Deserialize, Serialize};

use super::{CodecError, refused};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape<'a> {
    payment_id: Cow<'a, str>,
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
