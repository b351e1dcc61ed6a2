//! What a token says.

use order_api::{Scope, Scopes};
use order_domain::{TextError, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::name;

/// How far an issuer's clock may be off, in seconds.
const MAX_SKEW_SECONDS: f64 = 60.0;
/// Longest subject (OpenID Connect Core, 2): it stands in events.
const MAX_SUBJECT_CHARS: usize = 255;
/// What every token must say.
pub(super) const LACKING: &str = "The token lacks one of the claims exp, iss, aud and sub.";
const MICROS: f64 = 1_000_000.0;

/// Whose token it says that it is.
#[derive(Deserialize)]
pub(super) struct IssuerClaim {
    pub(super) iss: String,
}

/// All else that is looked at once the signature is right.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    sub: Option<String>,
    /// Seconds since 1970; RFC 7519 allows fractions.
    #[serde(default)]
    exp: Option<f64>,
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
        let expires = time(self.exp.ok_or(LACKING)? + MAX_SKEW_SECONDS);
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
        let subject = self.sub.as_deref().ok_or(LACKING)?;
        name::check(subject, MAX_SUBJECT_CHARS).map(|()| subject).map_err(|error| match error {
            TextError::Empty => "The token's subject is empty.",
            TextError::TooLong { .. } => "The token's subject has more than 255 characters.",
            TextError::ControlCharacter => "The token's subject has control characters in it.",
            TextError::WhiteSpaceAtEnd => "The token's subject begins or ends with white space.",
            TextError::Invisible => "The token's subject has nothing visible in it.",
            TextError::NotPathSafe | TextError::TooManyPairs => "The token's subject is no name.",
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn subject_is(subject: &str, is_taken: Result<(), &str>) {
        let claims: Claims = serde_json::from_value(serde_json::json!({"sub": subject, "exp": 1})).unwrap();
        assert_eq!(claims.subject(), is_taken.map(|()| subject), "{subject:?}");
    }

    #[test]
    fn a_subject_is_a_name_as_all_others_are() {
        for good in ["alice", "auth0|5f7c8ec7c33c6c004bbafe82", "Zoë Müller", &"s".repeat(255)] {
            subject_is(good, Ok(()));
        }
        subject_is("", Err("The token's subject is empty."));
        subject_is(&"s".repeat(256), Err("The token's subject has more than 255 characters."));
        subject_is("a\nb", Err("The token's subject has control characters in it."));
        for spaced in [" ", "alice ", " alice", "\u{2028}"] {
            subject_is(spaced, Err("The token's subject begins or ends with white space."));
        }
        for invisible in ["\u{200b}", "\u{feff}", "\u{202e}"] {
            subject_is(invisible, Err("The token's subject has nothing visible in it."));
        }
    }
}
