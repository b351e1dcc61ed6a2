use order_domain::{OrderCommand, PaymentId, VoidId, VoidPayment};

use super::values::{amount, reason};
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::{AMOUNT_EXCEEDS_AUTHORIZED, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<VoidPayment> = CommandRoute {
    path: "/orders/{id}/payment/void",
    scope: Scope::Pay,
    operation_id: "voidPayment",
    summary: "Void an authorisation",
    description: "\
Records that of an authorised payment something will not be captured: it lapsed, or was voided at the processor. What is \
voided covers nothing any more.

**Retrying is safe:** the same `void_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "VoidPayment",
        description: "A void of one payment.",
        example: r#"{"void_id": "void-001", "payment_id": "pay-001"}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::VoidPayment),
    refusals: &[&AMOUNT_EXCEEDS_AUTHORIZED, &UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<VoidPayment> {
    let void_id =
        body.required("void_id", "Your name for the void, unique within the order.", text::<VoidId>());
    let payment_id = body.required("payment_id", "The payment.", text::<PaymentId>());
    let amount = body.optional(
        "amount_cents",
        "Minor units, at most what is open of the payment. Left out: all that is open of it.",
        amount(),
    );
    let reason = reason(body);
    Some(VoidPayment { void_id: void_id?, payment_id: payment_id?, amount, reason })
}
