//! Entity tags (RFC 9110, 8.8.3): an order's version in quotes.

use axum::http::HeaderValue;
use order_application::Version;

/// The tag of an order at a version.
pub(crate) fn of(version: Version) -> HeaderValue {
    /// Most orders live and end at these; the rest costs an allocation.
    static FIRST: [HeaderValue; 5] = [
        HeaderValue::from_static("\"0\""),
        HeaderValue::from_static("\"1\""),
        HeaderValue::from_static("\"2\""),
        HeaderValue::from_static("\"3\""),
        HeaderValue::from_static("\"4\""),
    ];
    if let Some(tag) = FIRST.get(version.0 as usize) {
        return tag.clone();
    }
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(format!("\"{version}\""))) {
        Ok(tag) => tag,
        Err(e) => unreachable!("invariant: digits and quotes may stand in a header: {e}"),
    }
}

/// The versions that a list of tags names. Weak tags and tags that no order ever had match nothing, as RFC 9110 asks
/// of `If-Match`. `None` when it is no list of tags.
pub(crate) fn read_list(text: &str) -> Option<Vec<Version>> {
    let mut versions = Vec::new();
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let weak = tag.starts_with("W/");
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        let canonical = opaque.bytes().all(|byte| byte.is_ascii_digit()) && !opaque.starts_with('0');
        if canonical && !weak {
            versions.extend(opaque.parse().map(Version));
        }
    }
    Some(versions)
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
    fn only_strong_tags_of_versions_match() {
        assert_eq!(read_list(r#""1", "22""#), Some(vec![Version(1), Version(22)]));
        assert_eq!(read_list(r#"W/"1", "abc", "01", "99999999999999999999", """#), Some(vec![]));
        for broken in ["1", "\"1", "abc", "\"", "W/1"] {
            assert_eq!(read_list(broken), None, "{broken}");
        }
    }
}
