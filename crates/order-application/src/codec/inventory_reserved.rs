use std::borrow::Cow;

use order_domain::{InventoryReserved, ReservationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{UnitsShape, decode_expiry, decode_units, encode_expiry, encode_units};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.inventory_reserved.v1";

/// Stock is held for units.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InventoryReservedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the reservation.
    reservation_id: Cow<'a, str>,
    /// What is held.
    units: Vec<UnitsShape>,
    /// How long it was asked to hold; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u32>,
    /// Until when it was asked to hold; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

pub(super) fn encode(event: &InventoryReserved) -> Shape<'_> {
    let (expires_in_seconds, expires_at) = encode_expiry(event.expires);
    Shape {
        reservation_id: Cow::Borrowed(event.reservation_id.as_str()),
        units: encode_units(&event.units),
        expires_in_seconds,
        expires_at,
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<InventoryReserved, CodecError> {
    Ok(InventoryReserved {
        reservation_id: ReservationId::new(shape.reservation_id).map_err(refused("reservation_id"))?,
        units: decode_units(shape.units)?,
        expires: decode_expiry("expires_at", shape.expires_in_seconds, shape.expires_at)?,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        let number = |n| LineNumber::new(n).unwrap();
        let reservation_id = ReservationId::new("res-001").unwrap();
        assert_golden(
            "order.inventory_reserved.v1.json",
            OrderEvent::InventoryReserved(InventoryReserved {
                reservation_id,
                units: vec![LineUnits { line: number(1), quantity: 2 }],
                expires: Some(Expiry { seconds: 900, at: Timestamp::from_micros(1_767_226_500_000_000) }),
            }),
        );
    }
}
