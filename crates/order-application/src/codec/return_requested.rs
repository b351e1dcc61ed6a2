use std::borrow::Cow;

use order_domain::{ReturnId, ReturnRequested};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{UnitsShape, decode_reason, decode_units, encode_reason, encode_units};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.return_requested.v1";

/// Units are to come back.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnRequestedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the return.
    return_id: Cow<'a, str>,
    /// What is to come back.
    units: Vec<UnitsShape>,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &ReturnRequested) -> Shape<'_> {
    Shape {
        return_id: Cow::Borrowed(event.return_id.as_str()),
        units: encode_units(&event.units),
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<ReturnRequested, CodecError> {
    Ok(ReturnRequested {
        return_id: ReturnId::new(shape.return_id).map_err(refused("return_id"))?,
        units: decode_units(shape.units)?,
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
            "order.return_requested.v1.json",
            OrderEvent::ReturnRequested(ReturnRequested {
                return_id: ReturnId::new("ret-001").unwrap(),
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.return_requested.v1-plain.json",
            OrderEvent::ReturnRequested(ReturnRequested {
                return_id: ReturnId::new("ret-001").unwrap(),
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                reason: None,
            }),
        );
    }
}
