use order_domain::{DeclinePayment, OrderCommand, PaymentId};

use super::values::reason_text;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};

pub(super) static ROUTE: CommandRoute<DeclinePayment> = CommandRoute {
    path: "/orders/{id}/payment/decline",
    scope: Scope::Pay,
    operation_id: "declinePayment",
    summary: "Record a declined payment",
    description: "\
Records that a payer did not get the money. The order waits on; a payment of the same `payment_id` may be authorised \
later.

**Retrying is safe:** the same `payment_id` is answered as the first time, whatever its `reason`. An authorised payment is \
not declined: `id-reused`.",
    body: Object {
        name: "DeclinePayment",
        description: "A payment that was declined.",
        example: r#"{"payment_id": "pay-002", "reason": "insufficient funds"}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::DeclinePayment),
    refusals: &[],
};

fn members(body: &mut Members<'_>) -> Option<DeclinePayment> {
    let payment_id = body.required(
        "payment_id",
        "Your name for the payment, unique within the order.",
        text::<PaymentId>(),
    );
    let reason = body.required(
        "reason",
        "Why, for people. It is not compared when the request is repeated.",
        reason_text(),
    );
    Some(DeclinePayment { payment_id: payment_id?, reason: reason? })
}
