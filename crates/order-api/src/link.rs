//! The way from one page to the next: a `Link` header (RFC 8288).

use axum::http::HeaderValue;

/// Leads to the next page, which is at this path and query.
pub(crate) fn next(target: &str) -> HeaderValue {
    let link = format!("<{target}>; rel=\"next\"");
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(link)) {
        Ok(link) => link,
        Err(e) => unreachable!("invariant: what a page is asked for with may stand in a header: {e}"),
    }
}
