//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request's name, under which its answer is kept.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use order_application::{Fingerprint, ReceiptKey};
use order_domain::{OrderId, ReturnId};

use crate::refusal::Refusal;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key.
pub(crate) const MAX_KEY_CHARS: usize = 255;

/// The key that a request came with, if it did. It belongs to its owner; where nobody asks who sends requests, all keys are of
/// the same.
///
/// # Errors
/// When what stands there is no key.
pub(super) fn read(headers: &HeaderMap, owner: Option<&str>) -> Result<Option<ReceiptKey>, Refusal> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = parse(value.as_bytes()).filter(|_| values.next().is_none());
    key.map(|key| Some(ReceiptKey::new(owner, &key))).ok_or_else(Refusal::idempotency_key_invalid)
}

/// What tells the request from others. Its path counts as the route and the ids in it, however they are spelled; all else byte
/// for byte.
pub(super) fn fingerprint(
    route: &str,
    (order_id, return_id): (Option<&OrderId>, Option<&ReturnId>),
    parts: &Parts,
    body: &[u8],
) -> Fingerprint {
    Fingerprint::of(&[
        parts.method.as_str().as_bytes(),
        route.as_bytes(),
        order_id.map(OrderId::as_str).unwrap_or_default().as_bytes(),
        return_id.map(ReturnId::as_str).unwrap_or_default().as_bytes(),
        parts.uri.query().unwrap_or_default().as_bytes(),
        body,
    ])
}

/// A string of RFC 9651, or, since many clients leave out the quotes, the same without them. Then it must not have what could
/// be something else: white space, quotes, or the comma that joins two fields.
fn parse(value: &[u8]) -> Option<String> {
    let value = str::from_utf8(value.trim_ascii()).ok()?;
    let key = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => {
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',');
            value.bytes().all(is_plain).then(|| value.to_owned())?
        }
    };
    (1..=MAX_KEY_CHARS).contains(&key.len()).then_some(key)
}

/// The rest of a quoted string, whose first quote is gone: backslashes stand before quotes and backslashes (RFC 9651, 3.3.3).
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(key),
            '\\' => key.push(chars.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            plain @ ' '..='~' => key.push(plain),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_are_one_key() {
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#, "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (" a ", "a"),
            ("a=b/c+d;e", "a=b/c+d;e"),
            (r#""a b, c""#, "a b, c"),
            (r#""a \"b\" \\c""#, r#"a "b" \c"#),
        ] {
            assert_eq!(parse(value.as_bytes()).as_deref(), Some(key), "{value}");
        }
    }

    #[test]
    fn what_is_empty_too_long_or_could_be_something_else_is_no_key() {
        let long = "k".repeat(MAX_KEY_CHARS);
        assert!(parse(long.as_bytes()).is_some());
        assert!(parse(format!("\"{long}\"").as_bytes()).is_some());
        let longer = format!("{long}k");
        for value in [
            "",
            "\"\"",
            &longer,
            "a b",
            "a,b",
            "a\"b",
            "\"a",
            "\"a\"b",
            r#""a\b""#,
            "\"a\";x",
            "\"\u{e9}\"",
            "\u{e9}",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(parse(b"\xff"), None);
        assert_eq!(parse(b"\"a\tb\""), None);
    }
}
