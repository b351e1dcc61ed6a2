use super::ReservationShare;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::cause::Cause;
use crate::values::text::{Reason, ReservationId};

/// See [`OrderCommand::ReleaseReservation`](crate::OrderCommand::ReleaseReservation).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseReservation {
    /// Which reservation.
    pub reservation_id: ReservationId,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::ReservationReleased`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationReleased {
    /// What which reservations hold no longer.
    pub reservations: Vec<ReservationShare>,
    /// Why the service did it, if no client asked for it.
    pub cause: Option<Cause>,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl ReleaseReservation {
    /// There is nothing to release.
    pub const NOTHING_HELD: Obstacle = Obstacle::state("no reservation holds a unit that is not shipped");

    /// What the reservation still held was shipped.
    pub const ALL_SHIPPED: Obstacle =
        Obstacle::state("what this reservation held has been shipped, so there is nothing to release");
}

/// A reservation holds a unit that is not shipped.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.has_reserved_units() {
        return Err(ReleaseReservation::NOTHING_HELD);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &ReleaseReservation) -> Result<Vec<OrderEvent>, OrderError> {
    let reservation = order.reservation(&command.reservation_id)?;
    if reservation.released {
        return Ok(Vec::new());
    }
    guard(order)?;
    if reservation.held.is_empty() {
        return Err(ReleaseReservation::ALL_SHIPPED.into());
    }
    Ok(vec![OrderEvent::ReservationReleased(ReservationReleased {
        reservations: vec![ReservationShare {
            reservation_id: reservation.id.clone(),
            units: reservation.held.clone(),
        }],
        cause: None,
        reason: command.reason.clone(),
    })])
}

impl ReservationReleased {
    pub(crate) fn apply(&self, order: &mut Order) {
        for reservation in order.unreserve(&self.reservations) {
            reservation.released = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn ready() -> Vec<OrderEvent> {
        vec![placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])]
    }

    #[test]
    fn what_is_held_and_not_shipped_is_freed() {
        given(ready()).when(release("r")).then([released("r", &[(1, 2), (2, 1)])]);
        let past = ready().into_iter().chain([shipped("t", &[(1, "r", 1)])]);
        let order = given(past.clone()).when(release("r")).order();
        assert_eq!(order.lines()[0].ledger.unreserved(), 1);
        assert_eq!(order.status(), Status::PartiallyShipped);
        given(past).when(release("r")).then([released("r", &[(1, 1), (2, 1)])]);
    }

    #[test]
    fn what_was_released_may_be_released_again_and_nothing_happens() {
        let past = ready().into_iter().chain([released("r", &[(1, 2), (2, 1)])]);
        given(past).when(release("r")).then_nothing();
    }

    #[test]
    fn a_reservation_that_was_shipped_has_nothing_to_release() {
        let all_shipped = ready().into_iter().chain([shipped("t", &[(1, "r", 2), (2, "r", 1)])]);
        given(all_shipped)
            .when(release("r"))
            .then_in_the_way(Action::Release, ReleaseReservation::NOTHING_HELD);
        let past = [placed(), paid("p", 5000), reserved("r", &[(1, 2)]), reserved("r-2", &[(2, 1)])];
        let first_shipped = past.into_iter().chain([shipped("t", &[(1, "r", 2)])]);
        given(first_shipped).when(release("r")).then_refused(ReleaseReservation::ALL_SHIPPED.into());
    }

    #[test]
    fn a_reservation_that_is_not_there_is_refused() {
        given(ready())
            .when(release("r-2"))
            .then_refused(OrderError::UnknownReference { part: "reservation", name: "r-2".to_owned() });
    }
}
