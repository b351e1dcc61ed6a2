//! A command in the OpenAPI document.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, OpenApi, Required, Response, ResponseBuilder};

use super::{CommandRoute, Target};
use crate::json::{Named, Shape};
use crate::openapi::{order_id_parameter, responses};
use crate::problem::kind::{self, ProblemKind};

/// How any command may be refused.
const REFUSALS: &[&ProblemKind] = &[
    &kind::MALFORMED_REQUEST,
    // On a read replica.
    &kind::METHOD_NOT_ALLOWED,
    &kind::REQUEST_TIMEOUT,
    &kind::ID_REUSED,
    &kind::CONCURRENT_MODIFICATION,
    &kind::VERSION_MISMATCH,
    &kind::BODY_TOO_LARGE,
    &kind::UNSUPPORTED_MEDIA_TYPE,
    &kind::VALIDATION_FAILED,
    &kind::INTERNAL,
    &kind::OVERLOADED,
    &kind::STORE_UNAVAILABLE,
    &kind::OUTCOME_UNKNOWN,
    &kind::NEWER_RELEASE_NEEDED,
    &kind::CORRUPT,
    &kind::STORAGE_FULL,
];

/// How a command to an order that exists may be refused besides.
const REFUSALS_OF_ORDERS: &[&ProblemKind] =
    &[&kind::ORDER_NOT_FOUND, &kind::INVALID_TRANSITION, &kind::ORDER_FULL];

pub(super) fn describe<B>(route: &CommandRoute<B>, document: &mut OpenApi) {
    let mut named = Named::new();
    let body = route.body.schema(&mut named);
    let content =
        ContentBuilder::new().schema(Some(body)).example(serde_json::from_str(route.body.example).ok());
    let operation = operation(route).request_body(Some(
        RequestBodyBuilder::new()
            .description(Some(route.body.description))
            .content("application/json", content.build())
            .required(Some(Required::True))
            .build(),
    ));
    document.paths.add_path_operation(route.path, vec![HttpMethod::Post], operation);
    let schemas = ComponentsBuilder::from(document.components.take().unwrap_or_default());
    document.components = Some(schemas.schemas_from_iter(named).build());
}

fn operation<B>(route: &CommandRoute<B>) -> OperationBuilder {
    let in_path = matches!(route.target, Target::OrderInPath);
    let of_orders = if in_path { REFUSALS_OF_ORDERS } else { &[] };
    let refusals = [route.refusals, of_orders, REFUSALS].concat();
    let success = if in_path { ("202", accepted()) } else { ("201", placed()) };
    let operation = OperationBuilder::from(Operation::new())
        .tag("Commands")
        .operation_id(Some(route.operation_id))
        .summary(Some(route.summary))
        .description(Some(route.description))
        .parameters(Some(in_path.then(order_id_parameter).into_iter().chain(headers())))
        .response(success.0, success.1);
    responses(&route.path.replace("{id}", "ord-001"), &refusals)
        .into_iter()
        .fold(operation, |operation, (status, refusal)| operation.response(status, refusal))
}

/// The headers that every command takes.
fn headers() -> [Parameter; 2] {
    let header = |name, example: &str, description| {
        let text = ObjectBuilder::new().schema_type(Type::String).examples([example]);
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .schema(Some(text))
            .description(Some(description))
            .build()
    };
    [
        header(
            "If-Match",
            "\"3\"",
            "An `ETag` of the order: the command is refused with `version-mismatch` when the order moved on. What was done \
             already is answered as the first time all the same.",
        ),
        header(
            "X-Correlation-Id",
            "checkout-42",
            "1 to 128 visible ASCII characters that tie together all that this request sets off; they come back as \
             `correlationid` of its events. Anything else is ignored, and an id is made.",
        ),
    ]
}

fn accepted() -> Response {
    let status = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["accepted"]));
    let answer = ObjectBuilder::new().property("status", status).required("status");
    success(
        "Accepted: durable, and every read that follows sees it. A repetition is answered the same and changes nothing.",
        answer.examples([serde_json::json!({"status": "accepted"})]),
    )
    .build()
}

fn placed() -> Response {
    let order_id = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The order's id: yours, or the one that was made."));
    let answer = ObjectBuilder::new().property("order_id", order_id).required("order_id");
    let location = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("The order's path, such as `/orders/ord-001`."));
    success(
        "The order is placed, durably, and every read that follows sees it.",
        answer.examples([serde_json::json!({"order_id": "ord-001"})]),
    )
    .header("Location", location.build())
    .build()
}

fn success(description: &str, answer: ObjectBuilder) -> ResponseBuilder {
    let tag = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("The order's version in quotes, for `If-Match`."));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", ContentBuilder::new().schema(Some(answer)).build())
        .header("ETag", tag.build())
}
