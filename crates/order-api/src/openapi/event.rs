//! Events in the OpenAPI document: one schema for each type, since each has data of its own.

use order_application::codec::{DataSchema, data_schemas};
use order_application::traces::{TRACE_PARENT, TRACE_STATE};
use serde_json::json;
use utoipa::openapi::schema::{Discriminator, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A fact, in a CloudEvents 1.0 envelope. The type is only a name for the schema: envelopes are written in
/// [`order_application::cloud_event`].
pub(crate) enum Event {}

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        let (mut one_of, mut by_type) = (OneOfBuilder::new(), Vec::new());
        for data in data_schemas() {
            let reference = Ref::from_schema_name(name(&data));
            by_type.push((data.event_type.to_owned(), reference.ref_location.clone()));
            one_of = one_of.item(reference);
        }
        one_of
            .description(Some(
                "A fact, in a CloudEvents 1.0 envelope. More types will come: skip what you do not know.",
            ))
            .discriminator(Some(Discriminator::with_mapping("type", by_type)))
            .into()
    }
}

impl ToSchema for Event {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for data in data_schemas() {
            schemas.push((name(&data), envelope(&data).into()));
            schemas.push((data.name, data.schema));
            schemas.extend(data.referred);
        }
    }
}

/// `OrderPlacedData` is the data of an `OrderPlacedEvent`.
fn name(data: &DataSchema) -> String {
    format!("{}Event", data.name.trim_end_matches("Data"))
}

fn envelope(data: &DataSchema) -> ObjectBuilder {
    let text =
        |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let always = |word: &str| ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word]));
    let digits = |description| text(description).pattern(Some("^[1-9][0-9]*$"));
    let format = |format: &str| Some(SchemaFormat::Custom(format.to_owned()));
    let time = "When, in UTC with microseconds; never going back within one order.";
    let members = [
        ("specversion", always("1.0")),
        ("id", text("The event's name for ever, a UUIDv7.").format(format("uuid"))),
        ("source", text("Which service it comes from.").format(format("uri-reference"))),
        (
            "type",
            always(data.event_type).description(Some("What happened, with the version of the data's shape.")),
        ),
        ("subject", text("The order's id.")),
        ("time", text(time).format(format("date-time"))),
        ("datacontenttype", always("application/json")),
        (
            "position",
            digits(
                "Its place in the log of all orders, from 1, without gaps. Decimal digits in a string: a CloudEvents \
                 integer has 32 bits.",
            ),
        ),
        (
            "version",
            digits("Its place in the order's own history, from 1, without gaps. Decimal digits in a string."),
        ),
        ("correlationid", text("Ties together what one request set off: its `X-Correlation-Id`, or made.")),
    ];
    let envelope = members.into_iter().fold(ObjectBuilder::new(), |envelope, (name, member)| {
        envelope.property(name, member).required(name)
    });
    envelope
        .property("causationid", text("What caused it, where another message did."))
        .property("actor", text("Who asked for it, where that is known."))
        .property(
            TRACE_PARENT,
            text("The trace that the command belongs to and the span in it, where that is known (W3C's Trace Context)."),
        )
        .property(TRACE_STATE, text("What tracing systems have to say of that to each other."))
        .property("data", Ref::from_schema_name(&data.name))
        .required("data")
        .examples(example(data.event_type))
}

/// The example of a payment stands for all.
fn example(event_type: &str) -> Option<serde_json::Value> {
    (event_type == "order.payment_authorized.v1").then(|| {
        json!({
            "specversion": "1.0",
            "id": "019b76da-a800-7000-8000-000000000001",
            "source": "/order-service",
            "type": event_type,
            "subject": "ord-001",
            "time": "2026-01-01T00:00:00.000000Z",
            "datacontenttype": "application/json",
            "position": "2",
            "version": "2",
            "correlationid": "checkout-42",
            "data": {"payment_id": "pay-001", "amount_cents": 3000}
        })
    })
}
