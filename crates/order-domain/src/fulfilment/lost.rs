use super::ShipmentState;
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::text::{Reason, TrackingNumber};

/// See [`OrderCommand::LoseShipment`](crate::OrderCommand::LoseShipment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoseShipment {
    /// Which parcel.
    pub tracking_number: TrackingNumber,
    /// Why; not compared when the command is repeated.
    pub reason: Option<Reason>,
}

/// See [`OrderEvent::ShipmentLost`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipmentLost {
    /// Which parcel.
    pub tracking_number: TrackingNumber,
    /// Why, in the client's words.
    pub reason: Option<Reason>,
}

impl LoseShipment {
    /// There is nothing to lose.
    pub const NOTHING_UNDER_WAY: Obstacle = Obstacle::state("no parcel is under way");

    /// The parcel has arrived.
    pub const DELIVERED: Obstacle = Obstacle::state("the parcel was delivered, so it is not lost");
}

/// A parcel is under way.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.has_shipment_under_way() {
        return Err(LoseShipment::NOTHING_UNDER_WAY);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &LoseShipment) -> Result<Vec<OrderEvent>, OrderError> {
    let shipment = order.shipment(&command.tracking_number)?;
    match shipment.state {
        ShipmentState::Lost => Ok(Vec::new()),
        ShipmentState::Delivered => Err(LoseShipment::DELIVERED.into()),
        ShipmentState::UnderWay => {
            let tracking_number = shipment.tracking_number.clone();
            let reason = command.reason.clone();
            Ok(vec![OrderEvent::ShipmentLost(ShipmentLost { tracking_number, reason })])
        }
    }
}

impl ShipmentLost {
    /// The parcel's units are open again, and nothing is held for them.
    pub(crate) fn apply(&self, order: &mut Order) {
        // Whoever has cancelled the rest before has not cancelled these.
        order.rest_cancelled = false;
        order.settle_shipment(&self.tracking_number, ShipmentState::Lost, |ledger, units| {
            ledger.shipped = ledger.shipped.saturating_sub(units);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn one_parcel() -> Vec<OrderEvent> {
        let ready = [placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])];
        ready.into_iter().chain([shipped("t", &[(1, "r", 2), (2, "r", 1)])]).collect()
    }

    #[test]
    fn units_of_a_lost_parcel_are_open_again_and_not_reserved() {
        given(one_parcel()).when(lose("t")).then([lost("t")]);
        let past = one_parcel().into_iter().chain([lost("t")]);
        assert_eq!(given(past.clone()).order().status(), Status::PaymentAuthorized);
        given(past).when(reserve("r-2")).then([reserved("r-2", &[(1, 2), (2, 1)])]);
    }

    #[test]
    fn a_lost_parcel_is_lost_again_and_nothing_happens() {
        given(one_parcel().into_iter().chain([lost("t")])).when(lose("t")).then_nothing();
    }

    #[test]
    fn its_tracking_number_stays_spent() {
        let past = one_parcel().into_iter().chain([lost("t"), reserved("r-2", &[(1, 2), (2, 1)])]);
        given(past.clone()).when(ship("t")).then_nothing();
        let other = ship_units("t", [of_line(1, 1)]);
        given(past).when(other).then_refused(OrderError::IdReused { id: "tracking_number" });
    }

    #[test]
    fn what_has_arrived_or_never_left_is_not_lost() {
        given(one_parcel().into_iter().chain([delivered("t")]))
            .when(lose("t"))
            .then_refused(LoseShipment::DELIVERED.into());
        given(one_parcel())
            .when(lose("t-9"))
            .then_refused(OrderError::UnknownReference { part: "parcel", name: "t-9".to_owned() });
        let order = given([placed()]).order();
        assert_eq!(order.allows(Action::Lost), Err(LoseShipment::NOTHING_UNDER_WAY));
    }
}
