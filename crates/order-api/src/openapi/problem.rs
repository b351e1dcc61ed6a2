use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Response, ResponseBuilder, example::Example, example::ExampleBuilder,
};

use crate::json::{Faults, Pointer};
use crate::problem::Problem;
use crate::problem::kind::{self, ProblemKind};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident at $path:literal: $($kind:ident)+;)+) => {
        $($(#[$doc])* pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses($path, &[$(&kind::$kind),+])
            }
        })+
    };
}

refusals! {
    /// Every way in which a list of orders can fail.
    ListRefusals at "/orders": VALIDATION_FAILED INTERNAL OVERLOADED STORE_UNAVAILABLE REPLICA_BEHIND NEWER_RELEASE_NEEDED CORRUPT STORAGE_FULL;
    /// Every way in which reading the log can fail.
    LogRefusals at "/events": POSITION_AHEAD VALIDATION_FAILED INTERNAL OVERLOADED STORE_UNAVAILABLE REPLICA_BEHIND
        NEWER_RELEASE_NEEDED CORRUPT STORAGE_FULL;
    /// Every way in which a question about one order can fail.
    OrderReadRefusals at "/orders/ord-001": ORDER_NOT_FOUND VALIDATION_FAILED INTERNAL OVERLOADED STORE_UNAVAILABLE
        NEWER_RELEASE_NEEDED CORRUPT STORAGE_FULL;
    /// The way in which a question about the process can fail.
    ProbeRefusals at "/ready": INTERNAL;
}

/// One response for each status, with an example for each kind, of a request for `path`.
pub(crate) fn responses(path: &str, kinds: &[&'static ProblemKind]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&'static ProblemKind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status.as_u16()).or_default().push(kind);
    }
    by_status.into_iter().map(|(status, kinds)| (status.to_string(), response(path, &kinds).into())).collect()
}

fn response(path: &str, kinds: &[&'static ProblemKind]) -> Response {
    let lines: Vec<_> =
        kinds.iter().map(|kind| format!("`{}`: {}. {}", kind.code, kind.title, kind.advice)).collect();
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(kinds.iter().map(|kind| (kind.code, example(path, kind))))
        .build();
    let mut response =
        ResponseBuilder::new().description(lines.join("\n\n")).content("application/problem+json", content);
    if kinds.iter().any(|kind| kind.retry_after_seconds.is_some()) {
        let seconds = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Seconds to wait before the same request is sent again."));
        response = response.header("Retry-After", header.build());
    }
    headers_of_access(response, kinds).build()
}

/// What refusals of access have besides.
fn headers_of_access(response: ResponseBuilder, kinds: &[&'static ProblemKind]) -> ResponseBuilder {
    let has = |kind: &ProblemKind| kinds.iter().any(|other| other.code == kind.code);
    let text = |description| {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
    };
    if has(&kind::UNAUTHENTICATED) || has(&kind::FORBIDDEN) {
        let header =
            text("What would be taken (RFC 6750), such as `Bearer` or `Bearer error=\"invalid_token\"`.");
        return response.header("WWW-Authenticate", header);
    }
    if has(&kind::TOO_MANY_REQUESTS) {
        return response
            .header(
                "RateLimit",
                text("What is left, and when there is more (draft-ietf-httpapi-ratelimit-headers), such as `\"caller\";r=0;t=1`."),
            )
            .header(
                "RateLimit-Policy",
                text("How many requests may come in how many seconds, such as `\"caller\";q=200;w=2`."),
            );
    }
    response
}

fn example(path: &str, kind: &'static ProblemKind) -> Example {
    let mut problem = Problem::new(kind, kind.example.unwrap_or(kind.advice));
    problem.instance = Some(path.to_owned());
    let is_about_a_position = [kind::POSITION_AHEAD.code, kind::REPLICA_BEHIND.code].contains(&kind.code);
    if is_about_a_position {
        problem.last_position = Some(42);
    } else if [StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED].contains(&kind.status) {
        problem.order_status = Some("payment_authorized");
        problem.version = Some(2);
        problem.allowed_actions = Some(vec!["void", "reserve", "capture", "cancel", "hold"]);
    }
    if kind.code == kind::VALIDATION_FAILED.code {
        let mut faults = Faults::default();
        faults.at(Pointer::Key(&Pointer::Root, "customer_id"), "is required");
        problem.errors = faults.told();
    }
    if kind.status.is_server_error() && kind.code != kind::OVERLOADED.code && !is_about_a_position {
        problem.incident = Some("7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned());
    }
    ExampleBuilder::new().summary(kind.title).value(serde_json::to_value(problem).ok()).build()
}
