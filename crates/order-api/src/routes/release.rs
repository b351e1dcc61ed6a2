use order_domain::{OrderCommand, ReleaseReservation, ReservationId};

use super::values::reason;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::UNKNOWN_REFERENCE;

pub(super) static ROUTE: CommandRoute<ReleaseReservation> = CommandRoute {
    path: "/orders/{id}/reserve/release",
    scope: Scope::Fulfil,
    operation_id: "releaseReservation",
    summary: "Release a reservation",
    description: "\
Frees the units that a reservation holds and that are not shipped; they are open again. A reservation that was released \
already is answered as the first time.",
    body: Object {
        name: "ReleaseReservation",
        description: "A reservation that is to hold nothing any longer.",
        example: r#"{"reservation_id": "res-001"}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::ReleaseReservation),
    refusals: &[&UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<ReleaseReservation> {
    let reservation_id = body.required("reservation_id", "The reservation.", text::<ReservationId>());
    let reason = reason(body);
    Some(ReleaseReservation { reservation_id: reservation_id?, reason })
}
