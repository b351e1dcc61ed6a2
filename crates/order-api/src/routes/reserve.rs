use axum::extract::{Request, State};
use axum::response::Response;
use order_domain::{MAX_EXPIRES_IN_SECONDS, OrderCommand, ReservationId, ReserveInventory};
use utoipa::ToSchema;

use crate::Api;
use crate::command_request::{CommandRequest, accepted};
use crate::json::{Faults, Field, Object};
use crate::openapi::{Accepted, CommandHeaders, ReserveRefusals};
use crate::path_id::PathOrderId;
use crate::refusal::Refusal;

/// Reserve inventory
///
/// Holds stock for every open unit that has none held. Allowed once payments cover all that is due.
///
/// **Retrying is safe:** the same `reservation_id` with the same content is answered as the first time; other content is
/// `id-reused`.
#[utoipa::path(
    post, path = "/orders/{id}/reserve", tag = "Commands", operation_id = "reserveInventory",
    params(("id" = String, Path, description = "The order's id."), CommandHeaders),
    request_body = ReserveInventoryBody,
    responses(Accepted, ReserveRefusals),
)]
pub(crate) async fn reserve_inventory(
    State(api): State<Api>,
    order_id: PathOrderId,
    request: Request,
) -> Result<Response, Refusal> {
    let request = CommandRequest::read(request, &api.config).await?;
    let order_id = order_id.get()?;
    let (command, meta) = request.parse(read)?;
    let command = OrderCommand::ReserveInventory(command);
    Ok(accepted(&api.service.execute(Some(order_id), command, meta).await?))
}

const RESERVATION_ID: Field = Field(&["reservation_id"]);
const EXPIRES_IN_SECONDS: Field = Field(&["expires_in_seconds"]);

fn read(body: &Object<'_>, faults: &mut Faults) -> Option<ReserveInventory> {
    let reservation_id =
        body.required(RESERVATION_ID, faults, |value, faults| value.text(faults, ReservationId::new));
    let expires_in_seconds = body.optional(EXPIRES_IN_SECONDS, faults, |value, faults| {
        u32::try_from(value.integer(faults, 1..=i64::from(MAX_EXPIRES_IN_SECONDS))?).ok()
    });
    Some(ReserveInventory { reservation_id: reservation_id?, expires_in_seconds })
}

/// A reservation.
#[derive(ToSchema)]
#[schema(example = json!({"reservation_id": "res-001", "expires_in_seconds": 900}))]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct ReserveInventoryBody {
    /// Your name for the reservation, unique within the order.
    #[schema(min_length = 1, max_length = 128)]
    reservation_id: String,
    /// How long it is to hold, up to a year. Left out: for good.
    #[schema(minimum = 1, maximum = 31_536_000)]
    expires_in_seconds: Option<i64>,
}
