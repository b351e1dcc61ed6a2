use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{Caller, Scope};
use crate::Api;
use crate::refusal::Refusal;

/// Who sent the request. Handlers take it as an argument.
#[derive(Debug, Clone)]
pub(crate) struct Sender(Option<Arc<Caller>>);

impl Sender {
    /// Somebody whom the guard has let in.
    pub(super) fn known(caller: Arc<Caller>) -> Self {
        Self(Some(caller))
    }

    /// Who it is in events, if anybody asks.
    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.0.as_ref().map(|caller| Arc::clone(&caller.name))
    }

    /// Whose `Idempotency-Key`s these are.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.0.as_ref().map(|caller| &*caller.owner)
    }

    /// Whether they may know what an order is.
    pub(crate) fn sees_orders(&self) -> bool {
        self.0.as_ref().is_none_or(|caller| caller.scopes.show_orders())
    }

    /// # Errors
    /// That they do not have this scope.
    pub(crate) fn need(&self, scope: Scope) -> Result<(), Refusal> {
        match &self.0 {
            Some(caller) if !caller.scopes.contain(scope) => Err(Refusal::forbidden(caller, scope)),
            Some(_) | None => Ok(()),
        }
    }
}

impl FromRequestParts<Api> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        match (&api.config.access, parts.extensions.remove()) {
            (_, Some(sender)) => Ok(sender),
            (None, None) => Ok(Self(None)),
            (Some(_), None) => {
                unreachable!("invariant: handlers that ask who sent it stand behind the guard")
            }
        }
    }
}
