use std::borrow::Cow;

use order_domain::{InventoryReserved, LineNumber, ReservationId, ReservedUnits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CodecError, out_of_range, refused, time};
use crate::rfc3339;

pub(super) const TYPE: &str = "order.inventory_reserved.v1";

/// Stock is held for units.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InventoryReservedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the reservation.
    reservation_id: Cow<'a, str>,
    /// What is held.
    units: Vec<Units>,
    /// How long it was asked to hold; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u32>,
    /// Until when it was asked to hold; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Units of one line.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReservedUnits)]
struct Units {
    /// The line's number, from 1.
    line: u16,
    /// How many.
    quantity: u32,
}

pub(super) fn encode(event: &InventoryReserved) -> Shape<'_> {
    Shape {
        reservation_id: Cow::Borrowed(event.reservation_id.as_str()),
        units: event.units.iter().map(|u| Units { line: u.line.get(), quantity: u.quantity }).collect(),
        expires_in_seconds: event.expires.map(|(seconds, _)| seconds),
        expires_at: event.expires.map(|(_, at)| rfc3339::format(at)),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<InventoryReserved, CodecError> {
    let units = |u: Units| {
        let line = LineNumber::new(u.line.into()).ok_or_else(|| out_of_range("line"))?;
        Ok(ReservedUnits { line, quantity: u.quantity })
    };
    let expires = match (shape.expires_in_seconds, shape.expires_at) {
        (Some(seconds), Some(at)) => Some((seconds, time("expires_at", &at)?)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(out_of_range("expires_at")),
    };
    Ok(InventoryReserved {
        reservation_id: ReservationId::new(shape.reservation_id).map_err(refused("reservation_id"))?,
        units: shape.units.into_iter().map(units).collect::<Result<_, CodecError>>()?,
        expires,
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
                units: vec![ReservedUnits { line: number(1), quantity: 2 }],
                expires: Some((900, Timestamp::from_micros(1_767_226_500_000_000))),
            }),
        );
    }
}
