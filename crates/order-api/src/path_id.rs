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

    fn of(params: Option<&RawPathParams>) -> Self {
        let order_id = parameter(params, "id").and_then(|text| OrderId::new(text).ok());
        if let Some(order_id) = &order_id {
            Span::current().record("order_id", order_id.as_str());
        }
        Self(order_id)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathOrderId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parameters(parts, state).await.as_ref()))
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

    fn of(params: Option<&RawPathParams>) -> Self {
        Self(parameter(params, "return_id").and_then(|text| ReturnId::new(text).ok()))
    }
}

/// All ids that a command's path may have, taken at once: each look at a path's parameters makes a copy of them.
pub(crate) struct PathIds {
    pub(crate) order_id: PathOrderId,
    pub(crate) return_id: PathReturnId,
}

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let params = parameters(parts, state).await;
        let params = params.as_ref();
        Ok(Self { order_id: PathOrderId::of(params), return_id: PathReturnId::of(params) })
    }
}

/// A path's parameters. If one is not UTF-8 once it is unescaped there are none: it is no id either.
async fn parameters<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<RawPathParams> {
    RawPathParams::from_request_parts(parts, state).await.ok()
}

fn parameter<'p>(params: Option<&'p RawPathParams>, name: &str) -> Option<&'p str> {
    params?.iter().find(|(known, _)| *known == name).map(|(_, text)| text)
}
