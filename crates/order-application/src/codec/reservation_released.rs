use std::borrow::Cow;

use order_domain::ReservationReleased;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CodecError;
use super::parts::{
    CauseShape, ReservationShape, decode_cause, decode_reason, decode_reservations, encode_cause,
    encode_reason, encode_reservations,
};

pub(super) const TYPE: &str = "order.reservation_released.v1";

/// Reservations hold units no longer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReservationReleasedData)]
pub(super) struct Shape<'a> {
    /// What which reservations hold no longer.
    reservations: Vec<ReservationShape<'a>>,
    /// Why the service did it; absent: a client asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<CauseShape>,
    /// Why, in the client's words; absent: that was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

pub(super) fn encode(event: &ReservationReleased) -> Shape<'_> {
    Shape {
        reservations: encode_reservations(&event.reservations),
        cause: encode_cause(event.cause),
        reason: encode_reason(event.reason.as_ref()),
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<ReservationReleased, CodecError> {
    Ok(ReservationReleased {
        reservations: decode_reservations(shape.reservations)?,
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
            "order.reservation_released.v1.json",
            OrderEvent::ReservationReleased(ReservationReleased {
                reservations: vec![ReservationShare {
                    reservation_id: ReservationId::new("res-001").unwrap(),
                    units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                }],
                cause: None,
                reason: Some(Reason::new("A \"reason\"").unwrap()),
            }),
        );
        assert_golden(
            "order.reservation_released.v1-by-itself.json",
            OrderEvent::ReservationReleased(ReservationReleased {
                reservations: vec![ReservationShare {
                    reservation_id: ReservationId::new("res-001").unwrap(),
                    units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                }],
                cause: Some(Cause::Expired),
                reason: None,
            }),
        );
    }
}
