//! The OpenAPI document: what handlers have in common, and what no single handler says.

mod access;
mod event;
mod never_null;
mod parameters;
mod problem;
mod words;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ComponentsBuilder, OpenApi, Ref, RefOr, Required, Schema};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use crate::problem::Problem;
use crate::view::{BasicView, FullView};

pub(crate) use access::{declare_access, takes_scope};
pub(crate) use event::Event;
pub(crate) use parameters::{
    After, CustomerFilter, LastEventId, OrderFilter, PageCursor, PageSize, PaymentFilter, SkuFilter, Tags,
    Time, Total, TrackingNumberFilter,
};
pub(crate) use problem::{ListRefusals, LogRefusals, OrderReadRefusals, ProbeRefusals, responses};
pub(crate) use words::{ActionName, ListSort, OrderStatus, ProblemCode};

/// The OpenAPI 3.1 document of every route, as JSON for people to read.
pub fn openapi_json() -> String {
    let mut document = crate::routes::documented(None).into_openapi();
    never_null::never_null(&mut document);
    match document.to_pretty_json() {
        Ok(json) => json + "\n",
        Err(e) => unreachable!("invariant: the document is made of texts, numbers and lists: {e}"),
    }
}

/// The document before any route is in it.
pub(crate) fn frame() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(
            title = "Order service",
            description = INTRODUCTION,
            contact(name = "The order service's contributors"),
            license(name = "MIT OR Apache-2.0"),
        ),
        servers((url = "/", description = "Where this document comes from.")),
        security(()),
        tags(
            (name = "Commands", description = "What can be asked of an order. Accepted means durable."),
            (name = "Reading", description = "What orders are now."),
            (name = "Events", description = "What happened, as CloudEvents 1.0."),
            (name = "Operations", description = "For orchestrators and load balancers."),
        ),
    )]
    struct Frame;

    let mut schemas = Vec::new();
    add::<Problem>(&mut schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(access::SCHEME, access::bearer())
        .build();
    let mut document = Frame::openapi();
    document.components = Some(components);
    document
}

/// Adds a schema under its name, and those that it refers to.
fn add<S: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((S::name().into_owned(), S::schema()));
    S::schemas(schemas);
}

const INTRODUCTION: &str = include_str!("openapi/introduction.md");

/// What reads of orders answer with. The type is only a name for the schema.
pub(crate) enum OrderView {}

impl PartialSchema for OrderView {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .description(Some("`view=full` answers with a full order; otherwise the answer is a basic one."))
            .item(reference::<FullView<'_>>())
            .item(reference::<BasicView<'_>>())
            .into()
    }
}

impl ToSchema for OrderView {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        add::<BasicView<'_>>(schemas);
        add::<FullView<'_>>(schemas);
    }
}

fn reference<S: ToSchema>() -> Ref {
    Ref::from_schema_name(S::name())
}

/// The order that a path names.
pub(crate) fn order_id_parameter() -> Parameter {
    // An example of the parameter is filled in on the docs page; one of its schema is not.
    ParameterBuilder::new()
        .name("id")
        .example(Some("ord-001".into()))
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("The order's id."))
        .build()
}
