use std::borrow::Cow;

use order_domain::{ReturnId, ReturnRejected};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{decode_reason, encode_reason};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.return_rejected.v1";

/// Units are not taken back.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnRejectedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the return.
    return_id: Cow<'a, str>,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &ReturnRejected) -> Shape<'_> {
    Shape { return_id: Cow::Borrowed(event.return_id.as_str()), reason: encode_reason(event.reason.as_ref()) }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<ReturnRejected, CodecError> {
    Ok(ReturnRejected {
        return_id: ReturnId::new(shape.return_id).map_err(refused("return_id"))?,
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
            "order.return_rejected.v1.json",
            OrderEvent::ReturnRejected(ReturnRejected {
                return_id: ReturnId::new("ret-001").unwrap(),
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.return_rejected.v1-plain.json",
            OrderEvent::ReturnRejected(ReturnRejected {
                return_id: ReturnId::new("ret-001").unwrap(),
                reason: None,
            }),
        );
    }
}
