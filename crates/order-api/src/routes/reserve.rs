use order_domain::{OrderCommand, ReservationId, ReserveInventory};

use super::values::seconds;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::ORDER_ON_HOLD;

pub(super) static ROUTE: CommandRoute<ReserveInventory> = CommandRoute {
    path: "/orders/{id}/reserve",
    scope: Scope::Fulfil,
    operation_id: "reserveInventory",
    summary: "Reserve inventory",
    description: "\
Holds stock for every open unit that has none held. Allowed once payments cover all that is due, unless the order is on \
 hold.

**Retrying is safe:** the same `reservation_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "ReserveInventory",
        description: "A reservation.",
        example: r#"{"reservation_id": "res-001"}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::ReserveInventory),
    refusals: &[&ORDER_ON_HOLD],
};

fn members(body: &mut Members<'_>) -> Option<ReserveInventory> {
    let reservation_id = body.required(
        "reservation_id",
        "Your name for the reservation, unique within the order.",
        text::<ReservationId>(),
    );
    let expires_in_seconds = body.optional(
        "expires_in_seconds",
        "How long it is to hold, up to a year; then what it still holds is released. Left out: until you release it.",
        seconds(),
    );
    Some(ReserveInventory { reservation_id: reservation_id?, expires_in_seconds })
}
