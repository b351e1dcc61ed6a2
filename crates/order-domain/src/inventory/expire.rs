use super::{ReservationReleased, ReservationShare};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::cause::Cause;
use crate::values::text::ReservationId;
use crate::values::time::Timestamp;

/// See [`OrderCommand::ExpireReservation`](crate::OrderCommand::ExpireReservation).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpireReservation {
    /// Which reservation.
    pub reservation_id: ReservationId,
}

impl ExpireReservation {
    /// The reservation's life is not over, or it has no end.
    pub const NOT_DUE: Obstacle = Obstacle::state("the reservation's life is not over");
}

/// Frees what the reservation still holds, if its life is over. Where it holds nothing there is nothing to do.
pub(crate) fn decide(
    order: &Order,
    command: &ExpireReservation,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    let reservation = order.reservation(&command.reservation_id)?;
    if reservation.held.is_empty() {
        return Ok(Vec::new());
    }
    if reservation.expires.is_none_or(|expires| now < expires.at) {
        return Err(ExpireReservation::NOT_DUE.into());
    }
    Ok(vec![OrderEvent::ReservationReleased(ReservationReleased {
        reservations: vec![ReservationShare {
            reservation_id: reservation.id.clone(),
            units: reservation.held.clone(),
        }],
        cause: Some(Cause::Expired),
        reason: None,
    })])
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn expire(reservation_id: &str) -> ExpireReservation {
        ExpireReservation { reservation_id: ReservationId::new(reservation_id).unwrap() }
    }

    /// Every unit is reserved for a minute, `ago` seconds ago.
    fn reserved_for_a_minute(ago: u32) -> OrderEvent {
        let OrderEvent::InventoryReserved(reserved) = reserved("r", &[(1, 2), (2, 1)]) else {
            unreachable!()
        };
        let at = Timestamp::from_micros(NOW.as_micros() + 60_000_000 - i64::from(ago) * 1_000_000);
        OrderEvent::InventoryReserved(InventoryReserved {
            expires: Some(Expiry { seconds: 60, at }),
            ..reserved
        })
    }

    #[test]
    fn what_it_holds_is_freed_when_its_life_is_over_also_through_a_hold() {
        let freed = released_because(Cause::Expired, "r", &[(1, 2), (2, 1)]);
        let past = vec![placed(), paid("p", 5000), reserved_for_a_minute(60)];
        given(past.clone()).when(expire("r")).then([freed.clone()]);
        given(past.into_iter().chain([held()])).when(expire("r")).then([freed]);
    }

    #[test]
    fn it_does_not_end_before_its_time_or_without_one() {
        for reservation in [reserved_for_a_minute(59), reserved("r", &[(1, 2), (2, 1)])] {
            given([placed(), paid("p", 5000), reservation])
                .when(expire("r"))
                .then_refused(ExpireReservation::NOT_DUE.into());
        }
    }

    #[test]
    fn where_it_holds_nothing_there_is_nothing_to_do() {
        for gone in [shipped("t", &[(1, "r", 2), (2, "r", 1)]), released("r", &[(1, 2), (2, 1)])] {
            given([placed(), paid("p", 5000), reserved_for_a_minute(60), gone])
                .when(expire("r"))
                .then_nothing();
        }
    }

    /// A reservation runs out, then a late payment comes: units are reserved anew before they are shipped.
    #[test]
    fn units_whose_reservation_ran_out_are_shipped_only_after_they_are_reserved_anew() {
        let ran_out = released_because(Cause::Expired, "r", &[(1, 2), (2, 1)]);
        let mut past = vec![
            placed(),
            paid("p-1", 5000),
            reserved_for_a_minute(60),
            voided("v", "p-1", 100),
            ran_out,
            paid("p-2", 100),
        ];
        given(past.clone()).when(ship("t")).then_in_the_way(Action::Ship, ShipOrder::NOTHING_RESERVED);
        past.push(reserved("r-2", &[(1, 2), (2, 1)]));
        given(past).when(ship("t")).then([shipped("t", &[(1, "r-2", 2), (2, "r-2", 1)])]);
    }
}
