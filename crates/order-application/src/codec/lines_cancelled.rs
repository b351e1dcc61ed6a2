use std::borrow::Cow;

use order_domain::{CancellationId, LinesCancelled};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{UnitsShape, decode_reason, decode_units, encode_reason, encode_units};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.lines_cancelled.v1";

/// Some units are not wanted any more.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinesCancelledData)]
pub(super) struct Shape<'a> {
    /// The client's name for the cancellation; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancellation_id: Option<Cow<'a, str>>,
    /// What is cancelled.
    units: Vec<UnitsShape>,
    /// Whether no units were named: everything that was open went.
    all_open: bool,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &LinesCancelled) -> Shape<'_> {
    Shape {
        cancellation_id: event.cancellation_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        units: encode_units(&event.units),
        all_open: event.all_open,
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<LinesCancelled, CodecError> {
    Ok(LinesCancelled {
        cancellation_id: shape
            .cancellation_id
            .map(CancellationId::new)
            .transpose()
            .map_err(refused("cancellation_id"))?,
        units: decode_units(shape.units)?,
        all_open: shape.all_open,
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
            "order.lines_cancelled.v1.json",
            OrderEvent::LinesCancelled(LinesCancelled {
                cancellation_id: Some(CancellationId::new("can-001").unwrap()),
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                all_open: true,
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.lines_cancelled.v1-plain.json",
            OrderEvent::LinesCancelled(LinesCancelled {
                cancellation_id: None,
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                all_open: true,
                reason: None,
            }),
        );
    }
}
