use std::borrow::Cow;

use order_domain::{ShipmentDelivered, TrackingNumber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.shipment_delivered.v1";

/// A parcel has arrived.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShipmentDeliveredData)]
pub(super) struct Shape<'a> {
    /// The carrier's name for the parcel.
    tracking_number: Cow<'a, str>,
}

pub(super) fn encode(event: &ShipmentDelivered) -> Shape<'_> {
    Shape { tracking_number: Cow::Borrowed(event.tracking_number.as_str()) }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<ShipmentDelivered, CodecError> {
    Ok(ShipmentDelivered {
        tracking_number: TrackingNumber::new(shape.tracking_number).map_err(refused("tracking_number"))?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden(
            "order.shipment_delivered.v1.json",
            OrderEvent::ShipmentDelivered(ShipmentDelivered {
                tracking_number: TrackingNumber::new("1Z999").unwrap(),
            }),
        );
    }
}
