use axum::extract::{Request, State};
use axum::response::Response;
use order_domain::{AuthorizePayment, Cents, MAX_CENTS, OrderCommand, PaymentId};
use utoipa::ToSchema;

use crate::Api;
use crate::command_request::{CommandRequest, accepted};
use crate::json::{Faults, Field, Object};
use crate::openapi::{Accepted, CommandHeaders, PaymentRefusals};
use crate::path_id::PathOrderId;
use crate::refusal::Refusal;

/// Authorise a payment
///
/// Records that a payer stands for an amount. Allowed up to what is due and not covered by earlier payments yet; several
/// payments may share an order. Once payments cover all that is due, inventory can be reserved.
///
/// **Retrying is safe:** the same `payment_id` with the same content is answered as the first time; other content is
/// `id-reused`.
#[utoipa::path(
    post, path = "/orders/{id}/payment", tag = "Commands", operation_id = "authorizePayment",
    params(("id" = String, Path, description = "The order's id."), CommandHeaders),
    request_body = AuthorizePaymentBody,
    responses(Accepted, PaymentRefusals),
)]
pub(crate) async fn authorize_payment(
    State(api): State<Api>,
    order_id: PathOrderId,
    request: Request,
) -> Result<Response, Refusal> {
    let request = CommandRequest::read(request, &api.config).await?;
    let order_id = order_id.get()?;
    let (command, meta) = request.parse(read)?;
    let command = OrderCommand::AuthorizePayment(command);
    Ok(accepted(&api.service.execute(Some(order_id), command, meta).await?))
}

const PAYMENT_ID: Field = Field(&["payment_id"]);
const AMOUNT_CENTS: Field = Field(&["amount_cents"]);

fn read(body: &Object<'_>, faults: &mut Faults) -> Option<AuthorizePayment> {
    let payment_id = body.required(PAYMENT_ID, faults, |value, faults| value.text(faults, PaymentId::new));
    let amount = body.optional(AMOUNT_CENTS, faults, |value, faults| {
        // 0 is for orders whose total is 0, which only the order knows.
        Cents::new(value.integer(faults, 0..=MAX_CENTS)?).ok()
    });
    Some(AuthorizePayment { payment_id: payment_id?, amount })
}

/// A payment that was authorised.
#[derive(ToSchema)]
#[schema(example = json!({"payment_id": "pay-001", "amount_cents": 3000}))]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct AuthorizePaymentBody {
    /// Your name for the payment, unique within the order.
    #[schema(min_length = 1, max_length = 128)]
    payment_id: String,
    /// Minor units. Left out: all that is due and not covered yet. 0 is only for orders whose total is 0.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount_cents: Option<i64>,
}
