use order_domain::{CaptureId, CapturePayment, OrderCommand, PaymentId};

use super::values::amount;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::{AMOUNT_EXCEEDS_AUTHORIZED, ORDER_ON_HOLD, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<CapturePayment> = CommandRoute {
    path: "/orders/{id}/capture",
    scope: Scope::Pay,
    operation_id: "capturePayment",
    summary: "Capture authorised money",
    description: "\
Records that authorised money was taken: of one payment, or of any in the order in which they were authorised. Not while \
the order is on hold.

**Retrying is safe:** the same `capture_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "CapturePayment",
        description: "Money that was taken.",
        example: r#"{"capture_id": "cap-001", "amount_cents": 3000}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::CapturePayment),
    refusals: &[&AMOUNT_EXCEEDS_AUTHORIZED, &ORDER_ON_HOLD, &UNKNOWN_REFERENCE],
};

fn members(body: &mut Members<'_>) -> Option<CapturePayment> {
    let capture_id = body.required(
        "capture_id",
        "Your name for the capture, unique within the order.",
        text::<CaptureId>(),
    );
    let amount = body.optional(
        "amount_cents",
        "Minor units, at most what is authorised and open. Left out: all of it.",
        amount(),
    );
    let payment_id = body.optional(
        "payment_id",
        "The payment. Left out: any, in the order in which they were authorised.",
        text::<PaymentId>(),
    );
    Some(CapturePayment { capture_id: capture_id?, amount, payment_id })
}
