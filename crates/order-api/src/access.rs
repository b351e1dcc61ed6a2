//! Who may do what. Each route is declared with the scope that it takes ([`Routes`]); who sends a request, and which scopes
//! they have, is for the service's [`Access`] to say. Where there is none, everybody may do everything.

mod caller;
mod credentials;
mod guard;
mod routes;
mod scope;
mod sender;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;

pub use caller::Caller;
pub use scope::{Scope, Scopes};

pub(crate) use credentials::Credentials;
pub(crate) use guard::admit;
pub(crate) use routes::{Question, Routes};
pub(crate) use sender::Sender;

/// Knows everybody who may send requests.
#[async_trait]
pub trait Access: Send + Sync {
    /// Who sends a request, once it is taken off what they may send. Secrets MUST be compared in constant time, and appear
    /// in no error.
    ///
    /// # Errors
    /// See [`NotAdmitted`].
    async fn admit(&self, request: AccessRequest<'_>) -> Result<Arc<Caller>, NotAdmitted>;

    /// Returns as soon as this token, which was good, is so no more or has lost the scope: it is revoked, or expires.
    async fn shut_out(&self, token: &str, scope: Scope);
}

/// What is known of a request before it is known who sends it.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'r> {
    /// What stands behind `Bearer`; `None` where the request shows nothing, or something that is no token.
    pub token: Option<&'r str>,
    /// Who has opened the connection: the client, or a proxy.
    pub peer: Option<IpAddr>,
    /// The request's header fields, among which proxies say for whom they ask.
    pub headers: &'r HeaderMap,
}

/// Why a request goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It does not show who sends it.
    Nobody,
    /// What it shows opens nothing; in a sentence, why.
    BadToken(&'static str),
    /// As many have come as may.
    TooMany(Exhausted),
}

/// An allowance that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Whose it is: the name of the policy in `RateLimit`.
    pub whose: AllowanceOf,
    /// Most requests at once.
    pub burst: u32,
    /// How long it takes, once it is used up, to be whole again.
    pub refill_seconds: u32,
    /// When the next request may come.
    pub retry_after_seconds: u32,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowanceOf {
    /// Those with one key, or of one subject of an issuer.
    Caller,
    /// Those from one address that show no credentials that are good.
    Address,
}
