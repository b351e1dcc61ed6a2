//! `order.shipped.v1`

use std::borrow::Cow;

use order_domain::{Carrier, LineNumber, OrderShipped, ReservationId, ShippedUnits, TrackingNumber};
use serde::{Deserialize, Serialize};

use super::{CodecError, out_of_range, refused};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape<'a> {
    tracking_number: Cow<'a, str>,
    carrier: Cow<'a, str>,
    units: Vec<Units<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Units<'a> {
    line: u16,
    reservation_id: Cow<'a, str>,
    quantity: u32,
}

pub(super) fn encode(event: &OrderShipped) -> Shape<'_> {
    Shape {
        tracking_number: Cow::Borrowed(event.tracking_number.as_str()),
        carrier: Cow::Borrowed(event.carrier.as_str()),
        units: event.units.iter().map(encode_units).collect(),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<OrderShipped, CodecError> {
    Ok(OrderShipped {
        tracking_number: TrackingNumber::new(shape.tracking_number).map_err(refused("tracking_number"))?,
        carrier: Carrier::new(shape.carrier).map_err(refused("carrier"))?,
        units: shape.units.into_iter().map(decode_units).collect::<Result<_, _>>()?,
    })
}

fn encode_units(units: &ShippedUnits) -> Units<'_> {
    Units {
        line: units.line.get(),
        reservation_id: Cow::Borrowed(units.reservation_id.as_str()),
        quantity: units.quantity,
    }
}

fn decode_units(units: Units<'_>) -> Result<ShippedUnits, CodecError> {
    Ok(ShippedUnits {
        line: LineNumber::new(units.line.into()).ok_or_else(|| out_of_range("line"))?,
        reservation_id: ReservationId::new(units.reservation_id).map_err(refused("reservation_id"))?,
        quantity: units.quantity,
    })
}
