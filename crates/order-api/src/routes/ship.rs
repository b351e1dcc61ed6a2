use axum::extract::{Request, State};
use axum::response::Response;
use order_domain::{
    Carrier, LineNumber, MAX_LINES, OrderCommand, ShipOrder, Sku, TrackingNumber, UnitRequest, UnitSelector,
};
use utoipa::ToSchema;

use super::place::read_quantity;
use crate::Api;
use crate::command_request::{CommandRequest, accepted};
use crate::json::{Faults, Field, Object};
use crate::openapi::{Accepted, CommandHeaders, ShipRefusals};
use crate::path_id::PathOrderId;
use crate::refusal::Refusal;

/// Ship units
///
/// Hands reserved units to a carrier, as one parcel: all of them, or those that `items` names. An order may leave in many
/// parcels. The oldest reservation is used first.
///
/// **Retrying is safe:** the same `tracking_number` with the same content is answered as the first time; other content is
/// `id-reused`.
#[utoipa::path(
    post, path = "/orders/{id}/ship", tag = "Commands", operation_id = "shipOrder",
    params(("id" = String, Path, description = "The order's id."), CommandHeaders),
    request_body = ShipOrderBody,
    responses(Accepted, ShipRefusals),
)]
pub(crate) async fn ship(
    State(api): State<Api>,
    order_id: PathOrderId,
    request: Request,
) -> Result<Response, Refusal> {
    let request = CommandRequest::read(request, &api.config).await?;
    let order_id = order_id.get()?;
    let (command, meta) = request.parse(read)?;
    Ok(accepted(&api.service.execute(Some(order_id), OrderCommand::Ship(command), meta).await?))
}

const TRACKING_NUMBER: Field = Field(&["tracking_number"]);
const CARRIER: Field = Field(&["carrier"]);
const ITEMS: Field = Field(&["items"]);
const SKU: Field = Field(&["SKU", "sku"]);
const LINE: Field = Field(&["Line", "line"]);
const QUANTITY: Field = Field(&["Quantity", "quantity"]);

fn read(body: &Object<'_>, faults: &mut Faults) -> Option<ShipOrder> {
    let tracking_number =
        body.required(TRACKING_NUMBER, faults, |value, faults| value.text(faults, TrackingNumber::new));
    let carrier = body.required(CARRIER, faults, |value, faults| value.text(faults, Carrier::new));
    let units =
        body.optional(ITEMS, faults, |value, faults| value.objects(faults, 1..=MAX_LINES, read_units));
    Some(ShipOrder { tracking_number: tracking_number?, carrier: carrier?, units })
}

/// Units, named by SKU or by line.
fn read_units(item: Object<'_>, faults: &mut Faults) -> Option<UnitRequest> {
    let quantity = item.required(QUANTITY, faults, read_quantity);
    let sku = item.optional(SKU, faults, |value, faults| value.text(faults, Sku::new).map(UnitSelector::Sku));
    let line = item.optional(LINE, faults, |value, faults| {
        let number = value.integer(faults, 1..=MAX_LINES as i64)?;
        LineNumber::new(number.unsigned_abs()).map(UnitSelector::Line)
    });
    let selector = match (item.has(SKU), item.has(LINE)) {
        (true, true) => {
            item.fault(LINE, faults, "must not stand beside SKU: units are named by one of them");
            None
        }
        (false, false) => {
            item.fault(SKU, faults, "is required, unless Line is given");
            None
        }
        (true, false) | (false, true) => sku.or(line),
    };
    Some(UnitRequest { selector: selector?, quantity: quantity? })
}

/// A parcel.
#[derive(ToSchema)]
#[schema(example = json!({"tracking_number": "1Z999", "carrier": "UPS"}))]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct ShipOrderBody {
    /// The carrier's name for the parcel, unique within the order.
    #[schema(min_length = 1, max_length = 128)]
    tracking_number: String,
    /// Who carries it.
    #[schema(min_length = 1, max_length = 128)]
    carrier: String,
    /// What is in it. Left out: every reserved unit.
    #[schema(min_items = 1, max_items = 1000)]
    items: Option<Vec<UnitsBody>>,
}

/// Units of an order, named by SKU or by line number, never both. A SKU that stands on several lines is taken in line
/// order. Also read as `sku`, `line`, `quantity`.
#[derive(ToSchema)]
#[schema(as = Units, example = json!({"SKU": "sku-1", "Quantity": 1}))]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct UnitsBody {
    /// Units of whichever lines have this SKU.
    #[schema(rename = "SKU", min_length = 1, max_length = 128)]
    sku: Option<String>,
    /// Units of this line, from 1.
    #[schema(rename = "Line", minimum = 1, maximum = 1000)]
    line: Option<i64>,
    /// How many.
    #[schema(rename = "Quantity", minimum = 1, maximum = 1_000_000)]
    quantity: i64,
}
