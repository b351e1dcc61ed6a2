//! Problem documents (RFC 9457): how every refusal looks on the wire.
//!
//! Which error becomes which problem is decided in [`crate::refusal`]; what a problem means to a client stands in
//! [`kind`], from which the pages under `/problems/` and the OpenAPI document are made.

pub(crate) mod kind;

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use order_application::OrderFacts;
use serde::Serialize;
use tracing::Level;
use utoipa::ToSchema;

use crate::answer;
use crate::json::Fault;
use crate::openapi::{ActionName, OrderStatus, ProblemCode};
use kind::ProblemKind;

/// A refusal (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) kind: &'static ProblemKind,
    /// The path of a page that explains it.
    #[schema(example = "/problems/invalid-transition")]
    pub(crate) r#type: String,
    /// The same words for every problem of this kind.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is the matter with this request, for people.
    #[schema(value_type = String)]
    pub(crate) detail: Cow<'static, str>,
    /// The path that was asked for; absent where the request's head could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// The stable name that programs go by.
    #[schema(value_type = ProblemCode)]
    pub(crate) code: &'static str,
    /// 409 and 412 about an order: what it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OrderStatus>)]
    pub(crate) order_status: Option<&'static str>,
    /// 409 and 412 about an order: its version now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
    /// 409 and 412 about an order: what may be done next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ActionName>>)]
    pub(crate) allowed_actions: Option<Vec<&'static str>>,
    /// `position-ahead` and `replica-behind`: where the log ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_position: Option<u64>,
    /// `validation-failed`: the faults of the request, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) errors: Vec<Fault>,
    /// Most 5xx: the name under which the service's log tells more. Absent where there is nothing to tell: `overloaded`,
    /// `replica-behind`, and `store-unavailable` while the service starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    pub(crate) incident: Option<String>,
    #[serde(skip)]
    pub(crate) hidden: Option<HiddenCause>,
    /// Header fields of this refusal; they go before what all of its kind have.
    #[serde(skip)]
    pub(crate) headers: HeaderMap,
}

/// What the log tells and the client is not told.
#[derive(Debug, Clone)]
pub(crate) struct HiddenCause {
    pub(crate) level: Level,
    pub(crate) text: String,
}

impl Problem {
    /// What every problem of a kind has, and what is the matter this time.
    pub(crate) fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            r#type: format!("/problems/{}", kind.code),
            title: kind.title,
            status: kind.status.as_u16(),
            detail: detail.into(),
            instance: None,
            code: kind.code,
            order_status: None,
            version: None,
            allowed_actions: None,
            last_position: None,
            errors: Vec::new(),
            incident: None,
            hidden: None,
            headers: HeaderMap::new(),
        }
    }

    /// Adds what the order is, for a client that has to find another way.
    pub(crate) fn about(self, facts: Option<OrderFacts>) -> Self {
        let Some(OrderFacts { status, version, allowed_actions }) = facts else { return self };
        Self {
            order_status: Some(status.as_str()),
            version: Some(version.0),
            allowed_actions: Some(allowed_actions.iter().map(|action| action.as_str()).collect()),
            ..self
        }
    }

    /// Without what the order is, for somebody who may not know that.
    pub(crate) fn about_no_order(self) -> Self {
        Self { order_status: None, version: None, allowed_actions: None, ..self }
    }

    /// The answer to a request for `path`.
    pub(crate) fn into_response(mut self, path: &str) -> Response {
        self.instance = Some(path.to_owned());
        let mut response = answer::of("application/problem+json", answer::json_text(&self));
        *response.status_mut() = self.kind.status;
        if let Some(seconds) = self.kind.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.headers_mut().extend(self.headers);
        response
    }
}
