use order_domain::{
    Adjustment, AdjustmentKind, Currency, CustomerId, Label, MAX_CENTS, MAX_LINES, MAX_METADATA_KEY_CHARS,
    MAX_METADATA_PAIRS, MAX_METADATA_VALUE_CHARS, Metadata, OrderCommand, OrderId, OrderLine, PlaceOrder,
    Sku,
};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::values::{cents, quantity, seconds};
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Faults, Json, Members, Named, Object, PATH_ID, Pointer, Shape, Value, list, text, words};

pub(super) static ROUTE: CommandRoute<Placement> = CommandRoute {
    path: "/orders",
    scope: Scope::Place,
    operation_id: "placeOrder",
    summary: "Place an order",
    description: "\
Begins an order with 1 to 1,000 lines, numbered from 1 in the order given. The total is lines plus adjustments.

**Retrying is safe** when you send your own `order_id`: the same content again is answered as the first time, other \
content is `id-reused`. Without `order_id` the service makes one: then send an `Idempotency-Key`, or a retry after a lost \
answer places a second order.",
    body: Object {
        name: "PlaceOrder",
        description: "A new order.",
        example: r#"{
            "order_id": "ord-001",
            "customer_id": "cust-123",
            "items": [{"SKU": "sku-1", "Quantity": 2, "UnitPriceCents": 1500}]
        }"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::NewOrder { id: |placement| placement.order_id.clone(), command },
    refusals: &[],
};

/// A placement as it is sent.
pub(super) struct Placement {
    order_id: Option<OrderId>,
    customer_id: CustomerId,
    lines: Vec<OrderLine>,
    currency: Option<Currency>,
    adjustments: Option<Vec<Adjustment>>,
    metadata: Option<Metadata>,
    pay_within_seconds: Option<u32>,
}

fn command(placement: Placement, config: &crate::ApiConfig) -> OrderCommand {
    OrderCommand::Place(PlaceOrder {
        customer_id: placement.customer_id,
        lines: placement.lines,
        currency: placement.currency,
        default_currency: config.default_currency,
        adjustments: placement.adjustments,
        metadata: placement.metadata,
        pay_within_seconds: placement.pay_within_seconds,
    })
}

/// Most adjustments of one order.
const MAX_ADJUSTMENTS: usize = 100;

fn members(body: &mut Members<'_>) -> Option<Placement> {
    let order_id = body.optional(
        "order_id",
        "Your name for the order, which travels in paths; not `.` or `..`. Left out: the service makes a UUIDv7.",
        text::<OrderId>().pattern(PATH_ID),
    );
    let customer_id = body.required("customer_id", "Who orders.", text::<CustomerId>());
    let lines = body.required("items", "What is ordered.", list(1..=MAX_LINES, &LINE));
    let currency = body.optional(
        "currency",
        "The ISO 4217 code of every amount of this order. Left out: the shop's default.",
        CurrencyCode,
    );
    let adjustments = body.optional(
        "adjustments",
        "What is added to the lines' prices or taken off them. The total must not be negative.",
        list(0..=MAX_ADJUSTMENTS, &ADJUSTMENT),
    );
    let metadata = body.optional("metadata", "Your own notes.", Notes);
    let pay_within_seconds = body.optional(
        "pay_within_seconds",
        "How long payments have to cover the order, up to a year; if they do not, it is cancelled. Left out: it waits.",
        seconds(),
    );
    let (customer_id, lines) = (customer_id?, lines?);
    Some(Placement { order_id, customer_id, lines, currency, adjustments, metadata, pay_within_seconds })
}

static LINE: Object<OrderLine> = Object {
    name: "Item",
    description: "One line. `UnitPriceCents` may also be written `unit_price_cents`.",
    example: r#"{"SKU": "sku-1", "Quantity": 2, "UnitPriceCents": 1500}"#,
    members: |item| {
        let sku = item.required("SKU", "What is ordered.", text::<Sku>());
        let quantity = item.required("Quantity", "How many.", quantity());
        let price =
            item.required("UnitPriceCents", "The price of one, in minor units.", cents(0..=MAX_CENTS));
        Some(OrderLine { sku: sku?, quantity: quantity?, unit_price: price? })
    },
};

static ADJUSTMENT: Object<Adjustment> = Object {
    name: "Adjustment",
    description: "A charge or a discount.",
    example: r#"{"kind": "discount", "label": "Winter sale", "amount_cents": -500}"#,
    members: |adjustment| {
        let kind = adjustment.required("kind", "What it is for.", words(KINDS));
        let label = adjustment.required("label", "Its name on the bill.", text::<Label>());
        let amount = adjustment.required(
            "amount_cents",
            "Minor units; 0 or less for a discount, 0 or more for all others.",
            cents(-MAX_CENTS..=MAX_CENTS),
        );
        let (kind, amount) = (kind?, amount?);
        if !kind.allows(amount) {
            adjustment.fault("amount_cents", "must be 0 or less for a discount, 0 or more for all others");
        }
        Some(Adjustment { kind, label: label?, amount })
    },
};

const KINDS: &[(&str, AdjustmentKind)] = &[
    ("shipping", AdjustmentKind::Shipping),
    ("tax", AdjustmentKind::Tax),
    ("discount", AdjustmentKind::Discount),
    ("fee", AdjustmentKind::Fee),
];

struct CurrencyCode;

impl Shape for CurrencyCode {
    type Value = Currency;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<Currency> {
        let currency = Currency::from_code(json.string(faults)?);
        currency.or_else(|| json.refused(faults, "must be a currency code of ISO 4217, such as EUR"))
    }

    fn schema(&self, _: &mut Named) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Z]{3}$")).into()
    }
}

/// Metadata: names that the client chooses.
struct Notes;

impl Shape for Notes {
    type Value = Metadata;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<Metadata> {
        let Json::Object(members) = json.json else { return json.refused(faults, "must be an object") };
        if members.len() > MAX_METADATA_PAIRS {
            return json.refused(faults, format!("must have at most {MAX_METADATA_PAIRS} pairs"));
        }
        let mut pairs = Vec::with_capacity(members.len());
        for (key, note) in members {
            let note = Value { json: note, at: Pointer::Key(&json.at, key) };
            let Some(text) = note.string(faults) else { continue };
            // Key and value of one pair at a time, so that every fault has its place.
            if let Err((_, error)) = Metadata::new([(key, "")]) {
                faults.at(note.at, format!("has a key that {error}"));
            }
            if let Err((_, error)) = Metadata::new([("key", text)]) {
                faults.at(note.at, error.to_string());
            }
            pairs.push((key, text));
        }
        Metadata::new(pairs).ok()
    }

    fn schema(&self, _: &mut Named) -> RefOr<Schema> {
        let text = |pattern| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        let key = text(r"^[^\x00-\x1f\x7f-\x9f]+$").max_length(Some(MAX_METADATA_KEY_CHARS));
        let note =
            text(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$").max_length(Some(MAX_METADATA_VALUE_CHARS));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(key.build()))
            .max_properties(Some(MAX_METADATA_PAIRS))
            .additional_properties(Some(RefOr::T(Schema::from(note.build()))))
            .examples([serde_json::json!({"channel": "web"})])
            .into()
    }
}
