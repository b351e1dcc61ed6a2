//! `Authorization` (RFC 9110, 11.6.2), with bearer tokens (RFC 6750) and nothing else.

use axum::http::{HeaderMap, header};

/// What a request shows of who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials<'h> {
    /// Nothing.
    None,
    /// Something that is no bearer token, or more than one.
    Malformed,
    /// What stands behind `Bearer`.
    Token(&'h str),
}

impl<'h> Credentials<'h> {
    pub(crate) fn read(headers: &'h HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => token(value.as_bytes()).map_or(Self::Malformed, Self::Token),
            (Some(_), Some(_)) => Self::Malformed,
        }
    }

    /// The token, if there is one.
    pub(crate) fn token(self) -> Option<&'h str> {
        match self {
            Self::Token(token) => Some(token),
            Self::None | Self::Malformed => None,
        }
    }
}

fn token(value: &[u8]) -> Option<&str> {
    let (scheme, token) = str::from_utf8(value).ok()?.split_once(' ')?;
    let token = token.trim_ascii();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("Bearer") && is_token).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::AUTHORIZATION, field.to_vec().try_into().unwrap());
        }
        format!("{:?}", Credentials::read(&headers))
    }

    #[test]
    fn one_bearer_token_is_read_and_nothing_else() {
        assert_eq!(read(&[]), "None");
        assert_eq!(read(&[b"Bearer ok_1_2"]), r#"Token("ok_1_2")"#);
        assert_eq!(read(&[b"bearer  a.b.c "]), r#"Token("a.b.c")"#, "the scheme's case is no matter");
        for malformed in
            [&b""[..], b"Bearer", b"Bearer ", b"Basic b2s6b2s=", b"ok_1_2", b"Bearer a b", b"Bearer \xff"]
        {
            assert_eq!(read(&[malformed]), "Malformed", "{malformed:?}");
        }
        assert_eq!(read(&[b"Bearer a", b"Bearer a"]), "Malformed");
    }
}
