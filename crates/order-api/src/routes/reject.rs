use order_domain::{OrderCommand, Reason, RejectReturn};

use super::values::reason;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object};

pub(super) static ROUTE: CommandRoute<Rejected> = CommandRoute {
    path: "/orders/{id}/returns/{return_id}/reject",
    scope: Scope::Fulfil,
    operation_id: "rejectReturn",
    summary: "Reject a return",
    description: "\
Closes a return of which nothing is taken back. A return that was rejected already is answered as the first time. No body \
counts as `{}`.",
    body: Object {
        name: "RejectReturn",
        description: "Why a return is not taken.",
        example: r#"{"reason": "worn"}"#,
        members,
    },
    body_may_be_missing: true,
    target: Target::Return(|Rejected { reason }, return_id| {
        OrderCommand::RejectReturn(RejectReturn { return_id, reason })
    }),
    refusals: &[],
};

/// A rejection as it is sent.
pub(super) struct Rejected {
    reason: Option<Reason>,
}

fn members(body: &mut Members<'_>) -> Option<Rejected> {
    Some(Rejected { reason: reason(body) })
}
