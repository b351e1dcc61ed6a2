use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use order_domain::{OrderId, ReturnId};
use tracing::Span;

use crate::refusal::Refusal;

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

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = parameter(parts, state, "id").await;
        let order_id = text.and_then(|text| OrderId::new(text).ok());
        if let Some(order_id) = &order_id {
            Span::current().record("order_id", order_id.as_str());
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

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = parameter(parts, state, "return_id").await;
        Ok(Self(text.and_then(|text| ReturnId::new(text).ok())))
    }
}

/// The text of a path parameter. One that is not UTF-8 once it is unescaped is not there: it is no id either.
async fn parameter<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    params.iter().find(|(known, _)| *known == name).map(|(_, text)| text.to_owned())
}
