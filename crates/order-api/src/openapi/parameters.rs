//! Query parameters and headers of reads, as schemas with examples. The types are only names for them.
//!
//! The examples stand in the schemas: the docs page would fill in those of parameters, all at once.

use order_domain::{MAX_CENTS, MAX_TEXT_CHARS};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::json::{NAME, PATH_ID};

macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $name:ident: $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) enum $name {}

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }
    )+};
}

parameters! {
    /// How many entries a page has at most.
    PageSize: whole_number(1, 1_000).examples([50]);
    /// Where a page of a list begins.
    PageCursor: string().min_length(Some(1)).examples(["p4"]);
    /// A version or a position that a reader has. It may be beyond the end, however far: no format bounds it.
    After: ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).examples([3]);
    /// Exactly this customer.
    CustomerFilter: name("cust-123");
    /// Exactly this parcel.
    TrackingNumberFilter: name("1Z999");
    /// Exactly this payment.
    PaymentFilter: name("pay-001");
    /// Exactly this SKU.
    SkuFilter: name("sku-1");
    /// Exactly this order.
    OrderFilter: text(PATH_ID, "ord-001");
    /// A point in time, with its offset.
    Time: string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).examples(["2026-03-30T00:00:00+02:00"]);
    /// A total in minor units.
    Total: whole_number(0, MAX_CENTS).examples([3_000]);
    /// `*`, or one version or a list of them, in quotes.
    Tags: string().examples(["\"3\""]);
    /// A position, as a feed gives it.
    LastEventId: string().examples(["3"]);
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn name(example: &str) -> ObjectBuilder {
    text(NAME, example)
}

fn text(pattern: &str, example: &str) -> ObjectBuilder {
    let text = string().min_length(Some(1)).max_length(Some(MAX_TEXT_CHARS));
    text.pattern(Some(pattern)).examples([example])
}

fn whole_number(least: i64, most: i64) -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    number.minimum(Some(least)).maximum(Some(most))
}
