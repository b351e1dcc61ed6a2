use order_domain::{LoseShipment, OrderCommand, TrackingNumber};

use super::values::reason;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::UNKNOWN_REFERENCE;

pub(super) static ROUTE: CommandRoute<LoseShipment> = CommandRoute {
    path: "/orders/{id}/lost",
    scope: Scope::Fulfil,
    operation_id: "loseShipment",
    summary: "Record a lost parcel",
    description: "\
Records that a parcel will not arrive, also one that comes back undelivered. Its units are open again, and nothing is held \
for them. A parcel that was lost already is answered as the first time; a delivered one is not lost.",
    body: Object {
        name: "LoseShipment",
        description: "A parcel that will not arrive.",
        example: r#"{"tracking_number": "1Z999"}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::LoseShipment),
    refusals: &[&UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<LoseShipment> {
    let tracking_number = body.required("tracking_number", "The parcel.", text::<TrackingNumber>());
    let reason = reason(body);
    Some(LoseShipment { tracking_number: tracking_number?, reason })
}
