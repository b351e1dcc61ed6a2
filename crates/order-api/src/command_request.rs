//! What all commands have in common: body, preconditions, and the answer.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use order_application::{CommandMeta, CommandOutcome, IfMatch, Version};

use crate::config::ApiConfig;
use crate::json::{self, Faults, Object};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::{body, etag};

static X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Longest correlation id that is taken over.
const MAX_CORRELATION_ID_CHARS: usize = 128;

/// A request with a JSON body, read from the wire.
pub(crate) struct CommandRequest {
    parts: Parts,
    body: Bytes,
}

impl CommandRequest {
    /// # Errors
    /// When the body is of another media type, too long or too slow.
    pub(crate) async fn read(request: Request, config: &ApiConfig) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = body::read(&parts.headers, body, config).await?;
        Ok(Self { parts, body })
    }

    /// Reads the body by its shape, and what comes with every command.
    ///
    /// # Errors
    /// When the body is not JSON; or every fault of parameters, headers and body together.
    pub(crate) fn parse<C>(
        &self,
        shape: impl FnOnce(&Object<'_>, &mut Faults) -> Option<C>,
    ) -> Result<(C, CommandMeta), Refusal> {
        let json = json::parse(&self.body)?;
        let mut faults = Query::new(self.parts.uri.query()).into_faults();
        let meta = CommandMeta {
            correlation_id: correlation_id(&self.parts.headers),
            actor: None,
            if_match: if_match(&self.parts.headers, &mut faults),
        };
        let command = Object::body(&json, &mut faults).and_then(|body| shape(&body, &mut faults));
        match command {
            Some(command) if faults.is_empty() => Ok((command, meta)),
            Some(_) | None => Err(Refusal::Invalid(faults)),
        }
    }
}

/// The answer to every accepted command but a placement.
pub(crate) fn accepted(outcome: &CommandOutcome) -> Response {
    answer(StatusCode::ACCEPTED, outcome, Bytes::from_static(br#"{"status":"accepted"}"#))
}

/// An answer about one order.
pub(crate) fn answer(status: StatusCode, outcome: &CommandOutcome, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ETAG, etag::of(outcome.version));
    response
}

/// An id that is unusable is ignored: it is only a label, and no reason to refuse an order.
fn correlation_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(&X_CORRELATION_ID)?.to_str().ok()?;
    let usable = (1..=MAX_CORRELATION_ID_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| text.into())
}

fn if_match(headers: &HeaderMap, faults: &mut Faults) -> Option<IfMatch> {
    let mut versions: Option<Vec<Version>> = None;
    for value in headers.get_all(header::IF_MATCH) {
        match value.to_str().ok().map(str::trim) {
            Some("*") => return Some(IfMatch::Exists),
            Some(text) => match etag::read_list(text) {
                Some(listed) => versions.get_or_insert_default().extend(listed),
                None => faults.header("If-Match", "must be * or a list of entity tags such as \"3\""),
            },
            None => faults.header("If-Match", "must be text"),
        }
    }
    versions.map(IfMatch::OneOf)
}
