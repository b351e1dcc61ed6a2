use order_domain::{Carrier, MAX_LINES, OrderCommand, ShipOrder, TrackingNumber};

use super::units::Units;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, list, text};
use crate::problem::kind::{ORDER_ON_HOLD, QUANTITY_EXCEEDS_AVAILABLE, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<ShipOrder> = CommandRoute {
    path: "/orders/{id}/ship",
    scope: Scope::Fulfil,
    operation_id: "shipOrder",
    summary: "Ship units",
    description: "\
Hands reserved units to a carrier, as one parcel: all of them, or those that `items` names. An order may leave in many \
parcels. The oldest reservation is used first.

**Retrying is safe:** the same `tracking_number` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "ShipOrder",
        description: "A parcel.",
        example: r#"{"tracking_number": "1Z999", "carrier": "UPS"}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::Ship),
    refusals: &[&ORDER_ON_HOLD, &QUANTITY_EXCEEDS_AVAILABLE, &UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<ShipOrder> {
    let tracking_number = body.required(
        "tracking_number",
        "The carrier's name for the parcel, unique within the order.",
        text::<TrackingNumber>(),
    );
    let carrier = body.required("carrier", "Who carries it.", text::<Carrier>());
    let units =
        body.optional("items", "What is in it. Left out: every reserved unit.", list(1..=MAX_LINES, Units));
    Some(ShipOrder { tracking_number: tracking_number?, carrier: carrier?, units })
}
