//! Problem documents (RFC 9457): how every refusal looks on the wire.
//!
//! Which error becomes which problem is decided in [`crate::refusal`]; what a problem means to a client stands in
//! [`kind`], from which the pages under `/problems/` and the OpenAPI document are made.

pub(crate) mod kind;

use std::borrow::Cow;
use std::fmt::Write;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use order_application::OrderFacts;
use uuid::Uuid;

use crate::json::{Faults, push_string};
use kind::ProblemKind;

/// A refusal that is ready to be written, but for the path it answers.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: &'static ProblemKind,
    detail: Cow<'static, str>,
    facts: Option<OrderFacts>,
    faults: Faults,
    incident: Option<Uuid>,
}

impl Problem {
    pub(crate) fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), facts: None, faults: Faults::default(), incident: None }
    }

    /// What the order is, for a client that has to find another way.
    pub(crate) fn with_facts(self, facts: Option<OrderFacts>) -> Self {
        Self { facts, ..self }
    }

    /// Everything that is wrong with the request.
    pub(crate) fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The name under which the log tells more.
    pub(crate) fn with_incident(self, incident: Uuid) -> Self {
        Self { incident: Some(incident), ..self }
    }

    /// The answer to a request for `path`.
    pub(crate) fn into_response(self, path: &str) -> Response {
        let mut response = Response::new(Body::from(self.document(Some(path))));
        *response.status_mut() = self.kind.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.kind.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The document; without a path where the request's head could not be read.
    pub(crate) fn document(&self, path: Option<&str>) -> String {
        let kind = self.kind;
        let mut out = String::with_capacity(512);
        let status = kind.status.as_u16();
        // Codes and titles are constants without anything to escape. Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"{{"type":"/problems/{code}","title":"{title}","status":{status},"detail":"#,
            code = kind.code,
            title = kind.title
        );
        push_string(&mut out, &self.detail);
        if let Some(path) = path {
            out.push_str(",\"instance\":");
            push_string(&mut out, path);
        }
        let _ = write!(out, r#","code":"{}""#, kind.code);
        if let Some(facts) = &self.facts {
            write_facts(&mut out, facts);
        }
        for (index, fault) in self.faults.as_slice().iter().enumerate() {
            out.push_str(if index == 0 { ",\"errors\":[" } else { "," });
            fault.write(&mut out);
        }
        if !self.faults.is_empty() {
            out.push(']');
        }
        if let Some(incident) = self.incident {
            let _ = write!(out, r#","incident":"{incident}""#);
        }
        out.push('}');
        out
    }
}

fn write_facts(out: &mut String, facts: &OrderFacts) {
    let _ = write!(
        out,
        r#","order_status":"{}","version":{},"allowed_actions":["#,
        facts.status.as_str(),
        facts.version
    );
    for (index, action) in facts.allowed_actions.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{}\"", action.as_str());
    }
    out.push(']');
}
