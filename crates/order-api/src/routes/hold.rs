use order_domain::{HoldOrder, OrderCommand};

use super::values::reason;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object};

pub(super) static ROUTE: CommandRoute<HoldOrder> = CommandRoute {
    path: "/orders/{id}/hold",
    scope: Scope::Cancel,
    operation_id: "holdOrder",
    summary: "Hold the order back",
    description: "\
Nothing is reserved, shipped, captured or completed until the order goes on. An order that is held already is answered as \
the first time. No body counts as `{}`.",
    body: Object {
        name: "HoldOrder",
        description: "Why the order is held.",
        example: r#"{"reason": "address to be checked"}"#,
        members,
    },
    body_may_be_missing: true,
    target: Target::Order(OrderCommand::HoldOrder),
    refusals: &[],
};

fn members(body: &mut Members<'_>) -> Option<HoldOrder> {
    Some(HoldOrder { reason: reason(body) })
}
