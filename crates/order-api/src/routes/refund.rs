use order_domain::{OrderCommand, PaymentId, RefundId, RefundPayment};

use super::values::{amount, reason};
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{BOOLEAN, Members, Object, text};
use crate::problem::kind::{AMOUNT_EXCEEDS_CAPTURED, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<RefundPayment> = CommandRoute {
    path: "/orders/{id}/refund",
    scope: Scope::Refund,
    operation_id: "refundPayment",
    summary: "Refund captured money",
    description: "\
Records that taken money was given back: of one payment, or of what was captured latest. What goes beyond what is owed \
back is goodwill, and not asked for again, unless `repay` says so.

**Retrying is safe:** the same `refund_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "RefundPayment",
        description: "Money that was given back.",
        example: r#"{"refund_id": "ref-001", "amount_cents": 1000}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::RefundPayment),
    refusals: &[&AMOUNT_EXCEEDS_CAPTURED, &UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<RefundPayment> {
    let refund_id =
        body.required("refund_id", "Your name for the refund, unique within the order.", text::<RefundId>());
    let amount = body.optional(
        "amount_cents",
        "Minor units, at most what is captured and not refunded. Left out: what is owed back, of a named payment at most what is left of it.",
        amount(),
    );
    let payment_id = body.optional(
        "payment_id",
        "The payment. Left out: what was captured latest gives back first.",
        text::<PaymentId>(),
    );
    let repay = body.optional(
        "repay",
        "Whether what is refunded beyond what is owed back is to be paid anew, as when a card is changed. Left out: it is not.",
        BOOLEAN,
    );
    let reason = reason(body);
    Some(RefundPayment { refund_id: refund_id?, amount, payment_id, repay, reason })
}
