use order_domain::{OrderCommand, RequestReturn};

use super::values::{reason, return_id, units};
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object};
use crate::problem::kind::{QUANTITY_EXCEEDS_AVAILABLE, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<RequestReturn> = CommandRoute {
    path: "/orders/{id}/returns",
    scope: Scope::Returns,
    operation_id: "requestReturn",
    summary: "Ask delivered units back",
    description: "\
Opens a return of units that were delivered. It is closed by `receive` or `reject`; what was not received may be asked back \
anew.

**Retrying is safe:** the same `return_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "RequestReturn",
        description: "A return.",
        example: r#"{"return_id": "ret-001", "items": [{"SKU": "sku-1", "Quantity": 1}]}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::RequestReturn),
    refusals: &[&QUANTITY_EXCEEDS_AVAILABLE, &UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<RequestReturn> {
    let return_id = body.required(
        "return_id",
        "Your name for the return, unique within the order, which travels in paths; not `.` or `..`.",
        return_id(),
    );
    let units = body.required("items", "What is to come back.", units());
    let reason = reason(body);
    Some(RequestReturn { return_id: return_id?, units: units?, reason })
}
