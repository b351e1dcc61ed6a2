//! The OpenAPI document: what handlers have in common, and what no single handler says.

mod event;
mod order;
mod problem;

use utoipa::{IntoParams, IntoResponses, OpenApi, ToSchema};

pub(crate) use event::Event;
pub(crate) use order::{OrderView, ViewParameter};
pub(crate) use problem::{
    OrderReadRefusals, PaymentRefusals, PlaceRefusals, ReadRefusals, ReserveRefusals, ShipRefusals,
};

/// The OpenAPI 3.1 document of every route, as JSON for people to read.
pub fn openapi_json() -> String {
    match crate::routes::documented().into_openapi().to_pretty_json() {
        Ok(json) => json + "\n",
        Err(e) => unreachable!("invariant: the document is made of texts, numbers and lists: {e}"),
    }
}

/// The document before any route is in it.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        info(title = "Order service", description = INTRODUCTION, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
        tags(
            (name = "Commands", description = "What can be asked of an order. Accepted means durable."),
            (name = "Reading", description = "What orders are now."),
            (name = "Events", description = "What happened, as CloudEvents 1.0."),
            (name = "Operations", description = "For orchestrators and load balancers."),
        ),
        components(schemas(problem::Problem, problem::Fault)),
    )]
    struct Frame;

    Frame::openapi()
}

const INTRODUCTION: &str = include_str!("openapi/introduction.md");

/// Headers that every command takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what is read by hand in `command_request`")]
pub(crate) struct CommandHeaders {
    /// An `ETag` of the order: the command is refused with `version-mismatch` when the order moved on. What was done
    /// already is answered as the first time all the same.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
    /// 1 to 128 visible ASCII characters that tie together all that this request sets off; they come back as
    /// `correlationid` of its events. Anything else is ignored, and an id is made.
    #[param(rename = "X-Correlation-Id", example = "checkout-42")]
    x_correlation_id: Option<String>,
}

/// The answer to every accepted command but a placement.
#[derive(IntoResponses)]
#[response(
    status = 202,
    description = "Accepted: durable, and every read that follows sees it. A repetition is answered the same and changes nothing.",
    headers(("ETag" = String, description = "The order's version in quotes, for `If-Match`."))
)]
#[expect(dead_code, reason = "documents what is written by hand in `command_request`")]
pub(crate) struct Accepted(#[to_schema] AcceptedAnswer);

/// An accepted command.
#[derive(ToSchema)]
#[schema(example = json!({"status": "accepted"}))]
#[expect(dead_code, reason = "documents what is written by hand in `command_request`")]
struct AcceptedAnswer {
    /// Always `accepted`.
    status: String,
}
