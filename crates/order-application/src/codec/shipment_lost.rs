use std::borrow::Cow;

use order_domain::{ShipmentLost, TrackingNumber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{decode_reason, encode_reason};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.shipment_lost.v1";

/// A parcel will not arrive; its units are open again.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShipmentLostData)]
pub(super) struct Shape<'a> {
    /// The carrier's name for the parcel.
    tracking_number: Cow<'a, str>,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &ShipmentLost) -> Shape<'_> {
    Shape {
        tracking_number: Cow::Borrowed(event.tracking_number.as_str()),
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<ShipmentLost, CodecError> {
    Ok(ShipmentLost {
        tracking_number: TrackingNumber::new(shape.tracking_number).map_err(refused("tracking_number"))?,
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
            "order.shipment_lost.v1.json",
            OrderEvent::ShipmentLost(ShipmentLost {
                tracking_number: TrackingNumber::new("1Z999").unwrap(),
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.shipment_lost.v1-plain.json",
            OrderEvent::ShipmentLost(ShipmentLost {
                tracking_number: TrackingNumber::new("1Z999").unwrap(),
                reason: None,
            }),
        );
    }
}
