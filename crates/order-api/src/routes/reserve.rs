use order_domain::{MAX_EXPIRES_IN_SECONDS, OrderCommand, ReservationId, ReserveInventory};

use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, integer, text};

pub(super) static ROUTE: CommandRoute<ReserveInventory> = CommandRoute {
    path: "/orders/{id}/reserve",
    operation_id: "reserveInventory",
    summary: "Reserve inventory",
    description: "\
Holds stock for every open unit that has none held. Allowed once payments cover all that is due.

**Retrying is safe:** the same `reservation_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    target: Target::OrderInPath,
    body: Object {
        name: "ReserveInventory",
        description: "A reservation.",
        example: r#"{"reservation_id": "res-001"}"#,
        members,
    },
    command: |reservation, _| OrderCommand::ReserveInventory(reservation),
    refusals: &[],
};

fn members(body: &mut Members<'_>) -> Option<ReserveInventory> {
    let reservation_id = body.required(
        "reservation_id",
        "Your name for the reservation, unique within the order.",
        text::<ReservationId>(),
    );
    let expires_in_seconds = body.optional(
        "expires_in_seconds",
        "How long it is to hold, up to a year. Left out: for good. It is recorded and shown; nothing is released at that time yet.",
        integer(1..=MAX_EXPIRES_IN_SECONDS as i64, |seconds| u32::try_from(seconds).ok()),
    );
    Some(ReserveInventory { reservation_id: reservation_id?, expires_in_seconds })
}
