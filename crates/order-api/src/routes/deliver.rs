use order_domain::{DeliverShipment, OrderCommand, TrackingNumber};

use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::UNKNOWN_REFERENCE;

pub(super) static ROUTE: CommandRoute<DeliverShipment> = CommandRoute {
    path: "/orders/{id}/deliver",
    scope: Scope::Fulfil,
    operation_id: "deliverShipment",
    summary: "Record a delivery",
    description: "\
Records that a parcel has arrived. Once the order had more than one parcel, `tracking_number` says which. A parcel that was \
delivered already is answered as the first time; a lost one is not delivered. No body counts as `{}`.",
    body: Object {
        name: "DeliverShipment",
        description: "A parcel that has arrived.",
        example: r#"{"tracking_number": "1Z999"}"#,
        members,
    },
    body_may_be_missing: true,
    target: Target::Order(OrderCommand::DeliverShipment),
    refusals: &[&UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<DeliverShipment> {
    let tracking_number = body.optional(
        "tracking_number",
        "The parcel. Left out: the only one that there ever was.",
        text::<TrackingNumber>(),
    );
    Some(DeliverShipment { tracking_number })
}
