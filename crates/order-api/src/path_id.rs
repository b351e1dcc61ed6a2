use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use order_domain::{OrderId, ReturnId};
use percent_encoding::percent_decode;
use tracing::Span;

use crate::refusal::Refusal;
use crate::trace::RequestSpan;

/// The order id in a path. Taking it never fails, so that a body is read before its request is refused.
pub(crate) struct PathOrderId(Option<OrderId>);

impl PathOrderId {
    /// # Errors
    /// When the text in the path cannot be an order's id: then there is no such order.
    pub(crate) fn get(self) -> Result<OrderId, Refusal> {
        self.0.ok_or_else(Refusal::order_not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathOrderId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parameter(parts, "id");
        let order_id = text.and_then(|text| OrderId::new(text).ok());
        if let Some(order_id) = &order_id {
            Span::current().record("order_id", order_id.as_str());
            if let Some(recorded) = parts.extensions.get::<RequestSpan>() {
                recorded.is_about(order_id.as_str());
            }
        }
        Ok(Self(order_id))
    }
}

/// The return's id in a path, where there is one.
pub(crate) struct PathReturnId(Option<ReturnId>);

impl PathReturnId {
    /// # Errors
    /// When the text in the path cannot be a return's id: then there is no such return.
    pub(crate) fn get(self) -> Result<ReturnId, Refusal> {
        self.0.ok_or_else(Refusal::return_not_found)
    }

    /// The id, if there is one in the path.
    pub(crate) fn as_ref(&self) -> Option<&ReturnId> {
        self.0.as_ref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathReturnId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parameter(parts, "return_id");
        Ok(Self(text.and_then(|text| ReturnId::new(text).ok())))
    }
}

/// The text of a path parameter. One that is not UTF-8 once it is unescaped is not there: it is no id either. (axum's own
/// reader then has none of the others.)
fn parameter(parts: &Parts, name: &str) -> Option<String> {
    let template = parts.extensions.get::<MatchedPath>()?;
    let is_meant = |part: &[u8]| {
        part.strip_prefix(b"{").and_then(|part| part.strip_suffix(b"}")) == Some(name.as_bytes())
    };
    let [template, path] = [template.as_str(), parts.uri.path()].map(|path| path.as_bytes().split(is_slash));
    let (_, text) = template.zip(path).find(|(template, _)| is_meant(template))?;
    percent_decode(text).decode_utf8().ok().map(Cow::into_owned)
}

fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}
