use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use order_domain::OrderId;
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
        // An error here is a path that is not UTF-8 once it is unescaped: no id either.
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let first = params.as_ref().and_then(|params| params.iter().next());
        let order_id = first.and_then(|(_, text)| OrderId::new(text).ok());
        if let Some(order_id) = &order_id {
            Span::current().record("order_id", order_id.as_str());
        }
        Ok(Self(order_id))
    }
}
