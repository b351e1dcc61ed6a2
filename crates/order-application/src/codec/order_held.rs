use std::borrow::Cow;

use order_domain::OrderHeld;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CodecError;
use super::parts::{decode_reason, encode_reason};

pub(super) const TYPE: &str = "order.held.v1";

/// The order waits.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderHeldData)]
pub(super) struct Shape<'a> {
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &OrderHeld) -> Shape<'_> {
    Shape { reason: encode_reason(event.reason.as_ref()) }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<OrderHeld, CodecError> {
    Ok(OrderHeld { reason: decode_reason(shape.reason)? })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_files_say_what_the_event_says() {
        assert_golden(
            "order.held.v1.json",
            OrderEvent::OrderHeld(OrderHeld { reason: Some(Reason::new("A \"reason\"").unwrap()) }),
        );
        assert_golden("order.held.v1-plain.json", OrderEvent::OrderHeld(OrderHeld { reason: None }));
    }
}
