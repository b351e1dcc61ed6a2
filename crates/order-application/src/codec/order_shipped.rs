use std::borrow::Cow;

use order_domain::{Carrier, LineNumber, OrderShipped, ReservationId, ShippedUnits, TrackingNumber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CodecError, out_of_range, refused};

pub(super) const TYPE: &str = "order.shipped.v1";

/// Units have left with a carrier, as one parcel.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderShippedData)]
pub(super) struct Shape<'a> {
    /// The carrier's name for the parcel.
    tracking_number: Cow<'a, str>,
    /// Who carries it.
    carrier: Cow<'a, str>,
    /// What is in it.
    units: Vec<Units<'a>>,
}

/// Units of one line and one reservation.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShippedUnits)]
struct Units<'a> {
    /// The line's number, from 1.
    line: u16,
    /// The reservation that held them.
    reservation_id: Cow<'a, str>,
    /// How many.
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

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        let number = |n| LineNumber::new(n).unwrap();
        let reservation_id = ReservationId::new("res-001").unwrap();
        assert_golden(
            "order.shipped.v1.json",
            OrderEvent::OrderShipped(OrderShipped {
                tracking_number: TrackingNumber::new("1Z999").unwrap(),
                carrier: Carrier::new("UPS").unwrap(),
                units: vec![ShippedUnits { line: number(1), reservation_id, quantity: 2 }],
            }),
        );
    }
}
