use order_domain::{AuthorizePayment, MAX_CENTS, OrderCommand, PaymentId};

use super::values::{cents, seconds};
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object, text};
use crate::problem::kind::AMOUNT_EXCEEDS_DUE;

pub(super) static ROUTE: CommandRoute<AuthorizePayment> = CommandRoute {
    path: "/orders/{id}/payment",
    scope: Scope::Pay,
    operation_id: "authorizePayment",
    summary: "Authorise a payment",
    description: "\
Records that a payer stands for an amount. Allowed up to what is due and not covered by earlier payments yet; several \
payments may share an order. Once payments cover all that is due, inventory can be reserved.

**Retrying is safe:** the same `payment_id` with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "AuthorizePayment",
        description: "A payment that was authorised.",
        example: r#"{"payment_id": "pay-001", "amount_cents": 3000}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Order(OrderCommand::AuthorizePayment),
    refusals: &[&AMOUNT_EXCEEDS_DUE],
};

fn members(body: &mut Members<'_>) -> Option<AuthorizePayment> {
    let payment_id = body.required(
        "payment_id",
        "Your name for the payment, unique within the order.",
        text::<PaymentId>(),
    );
    let amount = body.optional(
        "amount_cents",
        "Minor units. Left out: all that is due and not covered yet. 0 is only for orders whose total is 0.",
        cents(0..=MAX_CENTS),
    );
    let expires_in_seconds = body.optional(
        "expires_in_seconds",
        "How long the authorisation holds, up to a year; then what is open of it is voided. Left out: until you void it.",
        seconds(),
    );
    Some(AuthorizePayment { payment_id: payment_id?, amount, expires_in_seconds })
}
