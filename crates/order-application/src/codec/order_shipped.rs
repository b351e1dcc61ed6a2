use std::borrow::Cow;

use order_domain::{Carrier, OrderShipped, ReservationId, ReservationShare, TrackingNumber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{ReservationShape, decode_reservations, encode_reservations, line_units};
use super::{CodecError, refused};

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
    /// What is in it, by the reservations that held it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reservations: Vec<ReservationShape<'a>>,
    /// In place of `reservations` in the oldest events, which name the reservation with each line: too long for a thousand
    /// of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
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
        reservations: encode_reservations(&event.reservations),
        units: Vec::new(),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<OrderShipped, CodecError> {
    let mut reservations = decode_reservations(shape.reservations)?;
    for units in shape.units {
        let reservation_id = ReservationId::new(units.reservation_id).map_err(refused("reservation_id"))?;
        let units = line_units(units.line, units.quantity)?;
        match reservations.last_mut().filter(|share| share.reservation_id == reservation_id) {
            Some(share) => share.units.push(units),
            None => reservations.push(ReservationShare { reservation_id, units: vec![units] }),
        }
    }
    Ok(OrderShipped {
        tracking_number: TrackingNumber::new(shape.tracking_number).map_err(refused("tracking_number"))?,
        carrier: Carrier::new(shape.carrier).map_err(refused("carrier"))?,
        reservations,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::decode;
    use super::super::tests::{assert_golden, golden};

    fn shipped(shares: &[(&str, &[u64])]) -> OrderEvent {
        let units = |line: &u64| LineUnits { line: LineNumber::new(*line).unwrap(), quantity: 2 };
        let share = |(id, lines): &(&str, &[u64])| ReservationShare {
            reservation_id: ReservationId::new(id).unwrap(),
            units: lines.iter().map(units).collect(),
        };
        OrderEvent::OrderShipped(OrderShipped {
            tracking_number: TrackingNumber::new("1Z999").unwrap(),
            carrier: Carrier::new("UPS").unwrap(),
            reservations: shares.iter().map(share).collect(),
        })
    }

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden("order.shipped.v1-grouped.json", shipped(&[("res-001", &[1, 2]), ("res-002", &[2])]));
    }

    #[test]
    fn the_oldest_events_name_the_reservation_with_each_line() {
        let old = decode(super::TYPE, &golden("order.shipped.v1"));
        assert_eq!(old, Ok(shipped(&[("res-001", &[1])])));
    }
}
