use super::{Shipment, ShipmentState};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::text::TrackingNumber;

/// See [`OrderCommand::DeliverShipment`](crate::OrderCommand::DeliverShipment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverShipment {
    /// Which parcel; left out: the only one that there ever was.
    pub tracking_number: Option<TrackingNumber>,
}

/// See [`OrderEvent::ShipmentDelivered`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipmentDelivered {
    /// Which parcel.
    pub tracking_number: TrackingNumber,
}

impl DeliverShipment {
    /// There is nothing to deliver.
    pub const NOTHING_UNDER_WAY: Obstacle = Obstacle::state("no parcel is under way");

    /// The parcel is lost.
    pub const LOST: Obstacle = Obstacle::state("the parcel was reported lost, and its units are open again");
}

/// A parcel is under way.
pub(crate) fn guard(order: &Order) -> Result<(), Obstacle> {
    if !order.has_shipment_under_way() {
        return Err(DeliverShipment::NOTHING_UNDER_WAY);
    }
    Ok(())
}

pub(crate) fn decide(order: &Order, command: &DeliverShipment) -> Result<Vec<OrderEvent>, OrderError> {
    let shipment = which(order, command)?;
    match shipment.state {
        ShipmentState::Delivered => Ok(Vec::new()),
        ShipmentState::Lost => Err(DeliverShipment::LOST.into()),
        ShipmentState::UnderWay => {
            let tracking_number = shipment.tracking_number.clone();
            Ok(vec![OrderEvent::ShipmentDelivered(ShipmentDelivered { tracking_number })])
        }
    }
}

fn which<'a>(order: &'a Order, command: &DeliverShipment) -> Result<&'a Shipment, OrderError> {
    match (&command.tracking_number, order.shipments()) {
        (Some(tracking_number), _) => order.shipment(tracking_number),
        (None, [only]) => Ok(only),
        (None, []) => Err(DeliverShipment::NOTHING_UNDER_WAY.into()),
        (None, _) => Err(OrderError::WhichParcel),
    }
}

impl ShipmentDelivered {
    pub(crate) fn apply(&self, order: &mut Order) {
        order.settle_shipment(&self.tracking_number, ShipmentState::Delivered, |ledger, units| {
            ledger.delivered = ledger.delivered.saturating_add(units);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn two_parcels() -> Vec<OrderEvent> {
        vec![
            placed(),
            paid("p", 5000),
            reserved("r", &[(1, 2), (2, 1)]),
            shipped("t-1", &[(1, "r", 2)]),
            shipped("t-2", &[(2, "r", 1)]),
        ]
    }

    fn one_parcel() -> Vec<OrderEvent> {
        let ready = [placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])];
        ready.into_iter().chain([shipped("t", &[(1, "r", 2), (2, "r", 1)])]).collect()
    }

    #[test]
    fn the_only_parcel_needs_no_name() {
        given(one_parcel()).when(deliver(None)).then([delivered("t")]);
        given(one_parcel()).when(deliver(Some("t"))).then([delivered("t")]);
    }

    #[test]
    fn of_several_parcels_the_one_that_is_meant_has_to_be_named() {
        given(two_parcels()).when(deliver(None)).then_refused(OrderError::WhichParcel);
        let first = given(two_parcels()).when(deliver(Some("t-1"))).order();
        assert_eq!(first.status(), Status::PartiallyDelivered);
        let all = two_parcels().into_iter().chain([delivered("t-1")]);
        assert_eq!(given(all).when(deliver(Some("t-2"))).order().status(), Status::Delivered);
    }

    #[test]
    fn where_nothing_was_shipped_nothing_is_delivered() {
        given([placed()])
            .when(deliver(None))
            .then_in_the_way(Action::Deliver, DeliverShipment::NOTHING_UNDER_WAY);
        given(one_parcel())
            .when(deliver(Some("t-9")))
            .then_refused(OrderError::UnknownReference { part: "parcel", name: "t-9".to_owned() });
    }

    #[test]
    fn a_delivered_parcel_is_delivered_again_and_nothing_happens() {
        for retry in [deliver(None), deliver(Some("t"))] {
            given(one_parcel().into_iter().chain([delivered("t")])).when(retry).then_nothing();
        }
    }

    #[test]
    fn a_lost_parcel_does_not_arrive() {
        given(one_parcel().into_iter().chain([lost("t")]))
            .when(deliver(None))
            .then_refused(DeliverShipment::LOST.into());
    }
}
