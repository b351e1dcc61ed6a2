use std::sync::Arc;

use order_domain::Timestamp;

use super::Scopes;

/// Somebody who may send requests: the bearer of a key, or of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// How a refusal calls what was shown, such as `the key 3f9a1c2e`. Not a secret.
    pub credential: Arc<str>,
    /// Who it is in events (`actor`), and nobody else: the key's name, or the token's subject.
    pub name: Arc<str>,
    /// Whose `Idempotency-Key`s these are: no two owners ever meet in one.
    pub owner: Arc<str>,
    /// What may be done.
    pub scopes: Scopes,
    /// Until when; `None`: until it is revoked.
    pub expires: Option<Timestamp>,
}
