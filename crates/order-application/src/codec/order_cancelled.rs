use std::borrow::Cow;

use order_domain::{CancellationId, OrderCancelled};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{
    CauseShape, UnitsShape, decode_cause, decode_reason, decode_units, encode_cause, encode_reason,
    encode_units,
};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.cancelled.v1";

/// No unit is wanted any more.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderCancelledData)]
pub(super) struct Shape<'a> {
    /// The client's name for the cancellation; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancellation_id: Option<Cow<'a, str>>,
    /// What is cancelled with it: all units that were still open.
    units: Vec<UnitsShape>,
    /// Why the service did it; absent: a client asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<CauseShape>,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &OrderCancelled) -> Shape<'_> {
    Shape {
        cancellation_id: event.cancellation_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        units: encode_units(&event.units),
        cause: encode_cause(event.cause),
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<OrderCancelled, CodecError> {
    Ok(OrderCancelled {
        cancellation_id: shape
            .cancellation_id
            .map(CancellationId::new)
            .transpose()
            .map_err(refused("cancellation_id"))?,
        units: decode_units(shape.units)?,
        cause: decode_cause(shape.cause),
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
            "order.cancelled.v1.json",
            OrderEvent::OrderCancelled(OrderCancelled {
                cancellation_id: Some(CancellationId::new("can-001").unwrap()),
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                cause: None,
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.cancelled.v1-by-itself.json",
            OrderEvent::OrderCancelled(OrderCancelled {
                cancellation_id: None,
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                cause: Some(Cause::Unpaid),
                reason: None,
            }),
        );
    }
}
