//! Problem documents (RFC 9457): how every refusal looks on the wire.
//!
//! Which error becomes which problem is decided in [`crate::refusal`]; what a problem means to a client stands in
//! [`kind`], from which the pages under `/problems/` and the OpenAPI document are made.

pub(crate) mod kind;

use std::borrow::Cow;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use order_application::{OrderFacts, Position};
use serde::Serialize;
use tracing::Level;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answer;
use crate::json::{Fault, Faults};
use crate::openapi::{ActionName, OrderStatus, ProblemCode};
use kind::ProblemKind;

/// A refusal that is ready to be written, but for the path it answers.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) kind: &'static ProblemKind,
    pub(crate) detail: Cow<'static, str>,
    /// What the order is, for a client that has to find another way.
    pub(crate) facts: Option<OrderFacts>,
    /// Where the log ends, for a client that asked for what is beyond it.
    pub(crate) last_position: Option<Position>,
    /// Everything that is wrong with the request.
    pub(crate) faults: Faults,
    pub(crate) hidden: Option<HiddenCause>,
}

/// What the log tells and the client is not told.
#[derive(Debug)]
pub(crate) struct HiddenCause {
    /// The name under which both know it.
    pub(crate) incident: Uuid,
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// The path of a page that explains it.
    #[schema(example = "/problems/invalid-transition")]
    r#type: String,
    /// The same words for every problem of this kind.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is the matter with this request, for people.
    detail: &'a str,
    /// The path that was asked for; absent where the request's head could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// The stable name that programs go by.
    #[schema(value_type = ProblemCode)]
    code: &'static str,
    /// 409 and 412 about an order: what it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OrderStatus>)]
    order_status: Option<&'static str>,
    /// 409 and 412 about an order: its version now.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// 409 and 412 about an order: what may be done next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ActionName>>)]
    allowed_actions: Option<Vec<&'static str>>,
    /// `position-ahead` and `replica-behind`: where the log ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_position: Option<u64>,
    /// `validation-failed`: the faults of the request, at most 100.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(value_type = Option<Vec<Fault>>)]
    errors: &'a [Fault],
    /// Most 5xx: the name under which the service's log tells more. Absent where there is nothing to tell: `overloaded`,
    /// `replica-behind`, and `store-unavailable` while the service starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    incident: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { kind, detail, facts: None, last_position: None, faults: Faults::default(), hidden: None }
    }

    /// The answer to a request for `path`.
    pub(crate) fn response(&self, path: &str) -> Response {
        let mut response = answer::of("application/problem+json", self.document(Some(path)));
        *response.status_mut() = self.kind.status;
        if let Some(seconds) = self.kind.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The document; without a path where the request's head could not be read.
    pub(crate) fn document(&self, path: Option<&str>) -> Vec<u8> {
        let facts = self.facts.as_ref();
        let actions =
            |facts: &OrderFacts| facts.allowed_actions.iter().map(|action| action.as_str()).collect();
        let document = ProblemDocument {
            r#type: format!("/problems/{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status.as_u16(),
            detail: &self.detail,
            instance: path,
            code: self.kind.code,
            order_status: facts.map(|facts| facts.status.as_str()),
            version: facts.map(|facts| facts.version.0),
            allowed_actions: facts.map(actions),
            last_position: self.last_position.map(|position| position.0),
            errors: self.faults.told(),
            incident: self.hidden.as_ref().map(|hidden| hidden.incident.to_string()),
        };
        match serde_json::to_vec(&document) {
            Ok(document) => document,
            Err(e) => unreachable!("invariant: a problem is made of texts, numbers and lists: {e}"),
        }
    }
}
