use order_domain::{OrderCommand, ReleaseHold};

use super::values::reason;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object};

pub(super) static ROUTE: CommandRoute<ReleaseHold> = CommandRoute {
    path: "/orders/{id}/unhold",
    scope: Scope::Cancel,
    operation_id: "releaseHold",
    summary: "Let a held order go on",
    description: "\
Ends a hold. An order that is not held is answered as if it had been. No body counts as `{}`.",
    body: Object {
        name: "ReleaseHold",
        description: "Why the order goes on.",
        example: r#"{"reason": "address checked"}"#,
        members,
    },
    body_may_be_missing: true,
    target: Target::Order(OrderCommand::ReleaseHold),
    refusals: &[],
};

fn members(body: &mut Members<'_>) -> Option<ReleaseHold> {
    Some(ReleaseHold { reason: reason(body) })
}
