//! What a token says.

use order_api::{Scope, Scopes};
use order_domain::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far an issuer's clock may be off, in seconds.
const MAX_SKEW_SECONDS: f64 = 60.0;
/// Longest subject (OpenID Connect Core, 2): it stands in events.
const MAX_SUBJECT_CHARS: usize = 255;
const MICROS: f64 = 1_000_000.0;

/// Whose token it says that it is.
#[derive(Deserialize)]
pub(super) struct IssuerClaim {
    pub(super) iss: String,
}

/// All else that is looked at once the signature is right.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    /// Seconds since 1970; RFC 7519 allows fractions.
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Claims {
    /// Until when it holds.
    ///
    /// # Errors
    /// It does not hold yet, or not any more.
    pub(super) fn check_times(&self, now: Timestamp) -> Result<Timestamp, &'static str> {
        // A number beyond all times becomes the last of them.
        let time = |seconds: f64| Timestamp::from_micros((seconds * MICROS) as i64);
        let expires = time(self.exp + MAX_SKEW_SECONDS);
        if expires <= now {
            return Err("The token has expired.");
        }
        if self.nbf.is_some_and(|begins| time(begins - MAX_SKEW_SECONDS) > now) {
            return Err("The token does not hold yet.");
        }
        Ok(expires)
    }

    /// Whom it is of.
    ///
    /// # Errors
    /// It cannot stand in events.
    pub(super) fn subject(&self) -> Result<&str, &'static str> {
        let is_short = (1..=MAX_SUBJECT_CHARS).contains(&self.sub.chars().count());
        let is_plain = !self.sub.chars().any(char::is_control);
        (is_short && is_plain)
            .then_some(&*self.sub)
            .ok_or("The token's subject is empty, too long, or no text.")
    }

    /// What it opens: words between spaces (RFC 8693, 4.2), or a list of them. Words of other services are passed over.
    pub(super) fn scopes(&self, claim: &str) -> Scopes {
        match self.others.get(claim) {
            Some(Value::String(words)) => words.split(' ').filter_map(Scope::from_name).collect(),
            Some(Value::Array(words)) => {
                words.iter().filter_map(Value::as_str).filter_map(Scope::from_name).collect()
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                Scopes::default()
            }
        }
    }
}
