//! `order.inventory_reserved.v1`

use std::borrow::Cow;

use order_domain::{InventoryReserved, LineNumber, ReservationId, ReservedUnits};
use serde::{Deserialize, Serialize};

use super::{CodecError, out_of_range, refused, time};
use crate::rfc3339;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape<'a> {
    reservation_id: Cow<'a, str>,
    units: Vec<Units>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Units {
    line: u16,
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
