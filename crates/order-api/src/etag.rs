//! Entity tags (RFC 9110, 8.8.3): an order's version in quotes, and the preconditions that name some.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use order_application::{NamedVersions, Version};

use crate::json::Faults;

/// The tag of an order at a version.
pub(crate) fn of(version: Version) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    let tag = ["\"", digits.format(version.0), "\""].concat();
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(tag)) {
        Ok(tag) => tag,
        Err(e) => unreachable!("invariant: digits and quotes may stand in a header: {e}"),
    }
}

/// Reads `If-Match`, which compares strongly: a weak tag matches nothing.
pub(crate) fn if_match(headers: &HeaderMap, faults: &mut Faults) -> Option<NamedVersions> {
    read(headers, (header::IF_MATCH, "If-Match"), false, faults)
}

/// Reads `If-None-Match`, which compares weakly.
pub(crate) fn if_none_match(headers: &HeaderMap, faults: &mut Faults) -> Option<NamedVersions> {
    read(headers, (header::IF_NONE_MATCH, "If-None-Match"), true, faults)
}

fn read(
    headers: &HeaderMap,
    (header, name): (HeaderName, &'static str),
    weak_match: bool,
    faults: &mut Faults,
) -> Option<NamedVersions> {
    let mut versions: Option<Vec<Version>> = None;
    for value in headers.get_all(header) {
        if value == "*" {
            return Some(NamedVersions::Any);
        }
        match read_list(value.as_bytes(), weak_match) {
            Some(listed) => versions.get_or_insert_default().extend(listed),
            None => faults.header(name, "must be * or a list of entity tags such as \"3\""),
        }
    }
    versions.map(NamedVersions::OneOf)
}

/// The versions that a list of tags names; a tag that no order ever had matches nothing. `None` when it is no list of tags.
fn read_list(mut list: &[u8], weak_match: bool) -> Option<Vec<Version>> {
    let mut versions = Vec::new();
    while let Some(start) = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b',')) {
        let tag = &list[start..];
        let weak = tag.starts_with(b"W/");
        let opaque = tag.strip_prefix(b"W/").unwrap_or(tag).strip_prefix(b"\"")?;
        let end = opaque.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = (&opaque[..end], opaque[end + 1..].trim_ascii_start());
        // A comma may stand within a tag; white space and controls may not.
        if !opaque.iter().all(|byte| matches!(byte, 0x21..=0x7e | 0x80..)) || !matches!(rest, [] | [b',', ..])
        {
            return None;
        }
        if !weak || weak_match {
            versions.extend(version(opaque));
        }
        list = rest;
    }
    Some(versions)
}

fn version(opaque: &[u8]) -> Option<Version> {
    let text = str::from_utf8(opaque).ok()?;
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| canonical).map(Version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_version_in_quotes() {
        for version in [1, 4, 5, u64::MAX] {
            assert_eq!(of(Version(version)), format!("\"{version}\""));
        }
    }

    #[test]
    fn a_list_names_the_versions_among_its_tags() {
        let of = |list: &str, weak_match| read_list(list.as_bytes(), weak_match);
        let versions = |numbers: &[u64]| Some(numbers.iter().copied().map(Version).collect::<Vec<_>>());
        assert_eq!(of(r#""1", "22""#, false), versions(&[1, 22]));
        assert_eq!(of("\t, \"1\" ,,\t\"22\" ,", false), versions(&[1, 22]));
        assert_eq!(of(r#""abc", "01", "+1", "99999999999999999999", """#, false), versions(&[]));
        assert_eq!(of(r#""a,b", "3,4", "5""#, false), versions(&[5]));
        assert_eq!(read_list(b"\"\xfc\", \"5\"", false), versions(&[5]));
        assert_eq!(of("", false), versions(&[]));
        assert_eq!(of(r#"W/"1", "2", W/"a,b""#, false), versions(&[2]));
        assert_eq!(of(r#"W/"1", "2", W/"a,b""#, true), versions(&[1, 2]));
        for broken in
            ["1", "\"1", "abc", "\"", "W/1", "w/\"1\"", "\"1\"\"2\"", "\"1\" \"2\"", "\"a b\"", "*, \"1\""]
        {
            assert_eq!(of(broken, true), None, "{broken}");
        }
    }
}
