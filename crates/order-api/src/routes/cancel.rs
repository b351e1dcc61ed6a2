use order_domain::{CancelUnits, CancellationId, OrderCommand};

use super::values::{reason, units};
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::{ALREADY_SHIPPED, QUANTITY_EXCEEDS_AVAILABLE, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<CancelUnits> = CommandRoute {
    path: "/orders/{id}/cancel",
    scope: Scope::Cancel,
    operation_id: "cancelOrder",
    summary: "Cancel open units",
    description: "\
Gives up units that are not shipped: those that `items` names, or every open one. What was held for them is released, and \
authorisations beyond what is still due are voided. An order of which nothing was shipped and nothing stays open is \
cancelled. What was captured beyond what is due is owed back.

**Retrying is safe:** the same `cancellation_id` with the same content is answered as the first time; other content is \
`id-reused`. Without `items`, an order that has nothing left to cancel since it was cancelled is answered as the first time.",
    body: Object {
        name: "CancelUnits",
        description: "What is not wanted any more.",
        example: r#"{"cancellation_id": "can-001", "items": [{"SKU": "sku-1", "Quantity": 1}]}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::CancelUnits),
    refusals: &[&ALREADY_SHIPPED, &QUANTITY_EXCEEDS_AVAILABLE, &UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<CancelUnits> {
    let cancellation_id = body.optional(
        "cancellation_id",
        "Your name for the cancellation, unique within the order. Needed with `items`.",
        text::<CancellationId>(),
    );
    let units = body.optional("items", "What is cancelled. Left out: every open unit.", units());
    let reason = reason(body);
    if body.has("items") && !body.has("cancellation_id") {
        body.fault("cancellation_id", "is required with items");
    }
    Some(CancelUnits { cancellation_id, units, reason })
}
