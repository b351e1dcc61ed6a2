//! A command in the OpenAPI document.

use order_application::traces::{TRACE_PARENT, TRACE_STATE};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, OpenApi, Required, Response, ResponseBuilder};

use super::{CommandRoute, Target};
use crate::json::{Named, Shape};
use crate::openapi::{order_id_parameter, responses, takes_scope};
use crate::problem::kind::{self, ProblemKind};

/// How any command may be refused.
const REFUSALS: &[&ProblemKind] = &[
    &kind::MALFORMED_REQUEST,
    &kind::IDEMPOTENCY_KEY_INVALID,
    // On a read replica.
    &kind::METHOD_NOT_ALLOWED,
    &kind::REQUEST_TIMEOUT,
    &kind::ID_REUSED,
    &kind::IDEMPOTENCY_IN_PROGRESS,
    &kind::CONCURRENT_MODIFICATION,
    &kind::VERSION_MISMATCH,
    &kind::BODY_TOO_LARGE,
    &kind::UNSUPPORTED_MEDIA_TYPE,
    &kind::VALIDATION_FAILED,
    &kind::IDEMPOTENCY_KEY_REUSED,
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

/// How a command to a return may be refused besides.
const REFUSALS_OF_RETURNS: &[&ProblemKind] =
    &[&kind::ORDER_NOT_FOUND, &kind::RETURN_NOT_FOUND, &kind::INVALID_TRANSITION, &kind::ORDER_FULL];

pub(crate) fn describe<B>(route: &CommandRoute<B>, document: &mut OpenApi) {
    let mut named = Named::new();
    let body = route.body.schema(&mut named);
    let content =
        ContentBuilder::new().schema(Some(body)).example(serde_json::from_str(route.body.example).ok());
    let mut operation = operation(route)
        .request_body(Some(
            RequestBodyBuilder::new()
                .description(Some(route.body.description))
                .content("application/json", content.build())
                .required(Some(if route.body_may_be_missing { Required::False } else { Required::True }))
                .build(),
        ))
        .build();
    takes_scope(&mut operation, route.path, route.scope);
    document.paths.add_path_operation(route.path, vec![HttpMethod::Post], operation);
    let schemas = ComponentsBuilder::from(document.components.take().unwrap_or_default());
    document.components = Some(schemas.schemas_from_iter(named).build());
}

fn operation<B>(route: &CommandRoute<B>) -> OperationBuilder {
    let (of_orders, success, path_parameters) = match route.target {
        Target::NewOrder { .. } => (&[][..], ("201", placed()), vec![]),
        Target::Order(_) => (REFUSALS_OF_ORDERS, ("202", accepted()), vec![order_id_parameter()]),
        Target::Return(_) => {
            let refusals = REFUSALS_OF_RETURNS;
            (refusals, ("202", accepted()), vec![order_id_parameter(), return_id_parameter()])
        }
    };
    let refusals = [route.refusals, of_orders, REFUSALS].concat();
    let operation = OperationBuilder::from(Operation::new())
        .tag("Commands")
        .operation_id(Some(route.operation_id))
        .summary(Some(route.summary))
        .description(Some(route.description))
        .parameters(Some(path_parameters.into_iter().chain([dry_run_parameter()]).chain(headers())))
        .response("200", tried())
        .response(success.0, success.1);
    responses(&route.path.replace("{id}", "ord-001"), &refusals)
        .into_iter()
        .fold(operation, |operation, (status, refusal)| operation.response(status, refusal))
}

fn return_id_parameter() -> Parameter {
    ParameterBuilder::new()
        .name("return_id")
        .example(Some("ret-001".into()))
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("The return's id."))
        .build()
}

fn dry_run_parameter() -> Parameter {
    ParameterBuilder::new()
        .name("dry_run")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .schema(Some(ObjectBuilder::new().schema_type(Type::Boolean)))
        .description(Some(
            "`true`: nothing is stored, and the answer says what would happen, or why it is refused.",
        ))
        .build()
}

fn tried() -> Response {
    ResponseBuilder::new()
        .description("With `dry_run=true`: the events that would be appended, none if it is done already, and the order after them.")
        .content("application/json", ContentBuilder::new().schema(Some(super::dry_run::schema())).build())
        .build()
}

/// The headers that every command takes.
fn headers() -> [Parameter; 5] {
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
            "Idempotency-Key",
            "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
            "Your name for this request, 1 to 255 characters, quoted or bare. Sent again with the same request, it gets the \
             first answer, with its first `ETag`, for 24 hours at least; with another request it is `idempotency-key-reused`. A \
             request that is refused, and a dry run, leave the key unused.",
        ),
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
        header(
            TRACE_PARENT,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "The trace that the request belongs to, as W3C's Trace Context has it; it comes back as `traceparent` of its events, \
             with the span of this service if it records the trace. Anything else is ignored.",
        ),
        header(
            TRACE_STATE,
            "rojo=00f067aa0ba902b7",
            "What tracing systems have to say to each other, at most 512 bytes; it comes back as `tracestate` of its events. \
             Anything else is ignored, and so is one without a `traceparent`.",
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
    let replayed = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true"]))))
        .description(Some("Only where what was asked for was done already, or the key was answered before."));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", ContentBuilder::new().schema(Some(answer)).build())
        .header("ETag", tag.build())
        .header("Idempotent-Replayed", replayed.build())
}
