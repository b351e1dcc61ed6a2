use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use order_domain::{
    Adjustment, AdjustmentKind, Cents, Currency, CustomerId, Label, MAX_CENTS, MAX_LINES, MAX_METADATA_PAIRS,
    MAX_QUANTITY, Metadata, OrderCommand, OrderId, OrderLine, PlaceOrder, Quantity, Sku,
};
use utoipa::ToSchema;

use crate::Api;
use crate::command_request::{CommandRequest, answer};
use crate::json::{Faults, Field, Object, Value};
use crate::openapi::{CommandHeaders, PlaceRefusals};
use crate::refusal::Refusal;

/// Place an order
///
/// Begins an order with 1 to 1,000 lines, numbered from 1 in the order given. The total is lines plus adjustments.
///
/// **Retrying is safe** when you send your own `order_id`: the same content again is answered as the first time, other
/// content is `id-reused`. Without `order_id` the service makes one, so a retry after a lost answer places a second order.
#[utoipa::path(
    post, path = "/orders", tag = "Commands", operation_id = "placeOrder",
    params(CommandHeaders),
    request_body(content = PlaceOrderBody, description = "The order. Unknown fields are ignored; null means left out."),
    responses(
        (status = 201, description = "The order is placed, durably, and every read that follows sees it.",
            body = OrderPlacedAnswer,
            headers(
                ("Location" = String, description = "The order's path, such as `/orders/ord-001`."),
                ("ETag" = String, description = "The order's version in quotes, for `If-Match`."),
            )),
        PlaceRefusals,
    ),
)]
pub(crate) async fn place(State(api): State<Api>, request: Request) -> Result<Response, Refusal> {
    let request = CommandRequest::read(request, &api.config).await?;
    let default_currency = api.config.default_currency;
    let ((order_id, command), meta) = request.parse(|body, faults| read(body, faults, default_currency))?;
    let outcome = api.service.execute(order_id, OrderCommand::Place(command), meta).await?;

    // An order id needs no escaping, neither in JSON nor in a path nor in a header.
    let id = outcome.order_id.as_str();
    let mut response =
        answer(StatusCode::CREATED, &outcome, Bytes::from([r#"{"order_id":""#, id, r#""}"#].concat()));
    match HeaderValue::from_maybe_shared(Bytes::from(["/orders/", id].concat())) {
        Ok(location) => response.headers_mut().insert(header::LOCATION, location),
        Err(e) => unreachable!("invariant: order ids are made of characters that headers allow: {e}"),
    };
    Ok(response)
}

const ORDER_ID: Field = Field(&["order_id"]);
const CUSTOMER_ID: Field = Field(&["customer_id"]);
const ITEMS: Field = Field(&["items"]);
const SKU: Field = Field(&["SKU", "sku"]);
const QUANTITY: Field = Field(&["Quantity", "quantity"]);
const UNIT_PRICE_CENTS: Field = Field(&["UnitPriceCents", "unit_price_cents", "unitPriceCents"]);
const CURRENCY: Field = Field(&["currency"]);
const ADJUSTMENTS: Field = Field(&["adjustments"]);
const KIND: Field = Field(&["kind"]);
const LABEL: Field = Field(&["label"]);
const AMOUNT_CENTS: Field = Field(&["amount_cents"]);
const METADATA: Field = Field(&["metadata"]);
/// Most adjustments of one order.
const MAX_ADJUSTMENTS: usize = 100;

fn read(
    body: &Object<'_>,
    faults: &mut Faults,
    default_currency: Currency,
) -> Option<(Option<OrderId>, PlaceOrder)> {
    let order_id = body.optional(ORDER_ID, faults, |value, faults| value.text(faults, OrderId::new));
    let customer_id = body.required(CUSTOMER_ID, faults, |value, faults| value.text(faults, CustomerId::new));
    let lines = body.required(ITEMS, faults, |value, faults| value.objects(faults, 1..=MAX_LINES, read_line));
    let currency = body.optional(CURRENCY, faults, read_currency);
    let adjustments = body.optional(ADJUSTMENTS, faults, |value, faults| {
        value.objects(faults, 0..=MAX_ADJUSTMENTS, read_adjustment)
    });
    let metadata = body.optional(METADATA, faults, read_metadata);
    let (customer_id, lines) = (customer_id?, lines?);
    Some((order_id, PlaceOrder { customer_id, lines, currency, default_currency, adjustments, metadata }))
}

fn read_line(item: Object<'_>, faults: &mut Faults) -> Option<OrderLine> {
    let sku = item.required(SKU, faults, |value, faults| value.text(faults, Sku::new));
    let quantity = item.required(QUANTITY, faults, read_quantity);
    let unit_price = item.required(UNIT_PRICE_CENTS, faults, |value, faults| {
        Cents::new(value.integer(faults, 0..=MAX_CENTS)?).ok()
    });
    Some(OrderLine { sku: sku?, quantity: quantity?, unit_price: unit_price? })
}

/// How many units of something.
pub(super) fn read_quantity(value: Value<'_>, faults: &mut Faults) -> Option<Quantity> {
    let quantity = value.integer(faults, 1..=i64::from(MAX_QUANTITY))?;
    Quantity::new(quantity.unsigned_abs())
}

fn read_currency(value: Value<'_>, faults: &mut Faults) -> Option<Currency> {
    let currency = Currency::from_code(value.string(faults)?);
    if currency.is_none() {
        value.fault(faults, "must be a currency code of ISO 4217, such as EUR");
    }
    currency
}

fn read_adjustment(adjustment: Object<'_>, faults: &mut Faults) -> Option<Adjustment> {
    let kind = adjustment.required(KIND, faults, read_kind);
    let label = adjustment.required(LABEL, faults, |value, faults| value.text(faults, Label::new));
    let amount = adjustment.required(AMOUNT_CENTS, faults, |value, faults| {
        Cents::new(value.integer(faults, -MAX_CENTS..=MAX_CENTS)?).ok()
    });
    let (kind, amount) = (kind?, amount?);
    if !kind.allows(amount) {
        adjustment.fault(AMOUNT_CENTS, faults, "must be 0 or less for a discount, 0 or more for all others");
    }
    Some(Adjustment { kind, label: label?, amount })
}

fn read_kind(value: Value<'_>, faults: &mut Faults) -> Option<AdjustmentKind> {
    match value.string(faults)? {
        "shipping" => Some(AdjustmentKind::Shipping),
        "tax" => Some(AdjustmentKind::Tax),
        "discount" => Some(AdjustmentKind::Discount),
        "fee" => Some(AdjustmentKind::Fee),
        _ => {
            value.fault(faults, "must be shipping, tax, discount or fee");
            None
        }
    }
}

fn read_metadata(value: Value<'_>, faults: &mut Faults) -> Option<Metadata> {
    let object = value.object(faults)?;
    if object.members().len() > MAX_METADATA_PAIRS {
        value.fault(faults, format!("must have at most {MAX_METADATA_PAIRS} pairs"));
        return None;
    }
    let mut pairs = Vec::with_capacity(object.members().len());
    for member in object.members() {
        let (key, _) = member;
        let text = object.with_member(member, |value| {
            let text = value.string(faults)?;
            // Key and value of one pair at a time, so that every fault has its place.
            if let Err((_, error)) = Metadata::new([(key, "")]) {
                value.fault(faults, format!("has a key that {error}"));
            }
            if let Err((_, error)) = Metadata::new([("key", text)]) {
                value.fault(faults, error.to_string());
            }
            Some(text.to_owned())
        });
        pairs.extend(text.map(|text| (key, text)));
    }
    Metadata::new(pairs).ok()
}

/// A new order.
#[derive(ToSchema)]
#[schema(example = json!({
    "order_id": "ord-001",
    "customer_id": "cust-123",
    "items": [{"SKU": "sku-1", "Quantity": 2, "UnitPriceCents": 1500}]
}))]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct PlaceOrderBody {
    /// Your name for the order, which travels in paths. Left out: the service makes a UUIDv7.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._~:-]+$", example = "ord-001")]
    order_id: Option<String>,
    /// Who orders. No control characters.
    #[schema(min_length = 1, max_length = 128, example = "cust-123")]
    customer_id: String,
    /// What is ordered.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<ItemBody>,
    /// The ISO 4217 code of every amount of this order. Left out: the shop's default.
    #[schema(min_length = 3, max_length = 3, example = "USD")]
    currency: Option<String>,
    /// What is added to the lines' prices or taken off them. The total must not be negative.
    #[schema(max_items = 100)]
    adjustments: Option<Vec<AdjustmentBody>>,
    /// Your own notes: at most 50 pairs, keys to 40 and values to 500 characters.
    #[schema(example = json!({"channel": "web"}))]
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// One line. Also read as `sku`, `quantity`, `unit_price_cents` or `unitPriceCents`.
#[derive(ToSchema)]
#[schema(as = Item)]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct ItemBody {
    /// What is ordered. No control characters.
    #[schema(rename = "SKU", min_length = 1, max_length = 128, example = "sku-1")]
    sku: String,
    /// How many.
    #[schema(rename = "Quantity", minimum = 1, maximum = 1_000_000, example = 2)]
    quantity: i64,
    /// The price of one, in minor units.
    #[schema(rename = "UnitPriceCents", minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 1500)]
    unit_price_cents: i64,
}

/// A charge or a discount.
#[derive(ToSchema)]
#[schema(as = Adjustment, example = json!({"kind": "discount", "label": "Winter sale", "amount_cents": -500}))]
#[expect(dead_code, reason = "documents what is read by hand above")]
struct AdjustmentBody {
    /// What it is for.
    #[schema(inline)]
    kind: AdjustmentKindBody,
    /// Its name on the bill. No control characters.
    #[schema(min_length = 1, max_length = 128)]
    label: String,
    /// Minor units; 0 or less for a discount, 0 or more for all others.
    #[schema(minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64)]
    amount_cents: i64,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "documents what is read by hand above")]
enum AdjustmentKindBody {
    Shipping,
    Tax,
    Discount,
    Fee,
}

/// A placed order.
#[derive(ToSchema)]
#[schema(example = json!({"order_id": "ord-001"}))]
#[expect(dead_code, reason = "documents what is written by hand above")]
struct OrderPlacedAnswer {
    /// The order's id: yours, or the one that was made.
    order_id: String,
}
