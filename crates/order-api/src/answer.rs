//! What answers have in common.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;

/// An answer in JSON.
pub(crate) fn json(body: impl Into<Body>) -> Response {
    of("application/json", body)
}

/// Bytes that count as long as the connection has them: it is then that `reservation` is dropped.
pub(crate) fn counted(bytes: Vec<u8>, reservation: impl Send + 'static) -> Bytes {
    Bytes::from_owner(Counted { bytes, _reservation: reservation })
}

struct Counted<R> {
    bytes: Vec<u8>,
    _reservation: R,
}

impl<R> AsRef<[u8]> for Counted<R> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a value of ours looks like in JSON.
pub(crate) fn json_text(value: &impl Serialize) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(text) => text,
        Err(e) => unreachable!("invariant: what is shown is made of texts, numbers and lists: {e}"),
    }
}

/// An answer of this media type.
pub(crate) fn of(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Leads to the next page, which is at this path and query (RFC 8288).
pub(crate) fn link_to_next(response: &mut Response, target: &str) {
    let link = format!("<{target}>; rel=\"next\"");
    match HeaderValue::try_from(link) {
        Ok(link) => response.headers_mut().insert(header::LINK, link),
        Err(e) => unreachable!("invariant: what a page is asked for with may stand in a header: {e}"),
    };
}
