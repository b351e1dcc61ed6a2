use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, header};
use order_application::{IfMatch, Version};

use crate::etag;
use crate::json::Faults;

pub(super) static X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Longest correlation id that is taken over.
const MAX_CORRELATION_ID_CHARS: usize = 128;

/// An id that is unusable is ignored: it is only a label, and no reason to refuse an order.
pub(super) fn correlation_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(&X_CORRELATION_ID)?.to_str().ok()?;
    let usable = (1..=MAX_CORRELATION_ID_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| text.into())
}

pub(super) fn if_match(headers: &HeaderMap, faults: &mut Faults) -> Option<IfMatch> {
    let mut versions: Option<Vec<Version>> = None;
    for value in headers.get_all(header::IF_MATCH) {
        match value.to_str().ok().map(str::trim) {
            Some("*") => return Some(IfMatch::Exists),
            Some(text) => match etag::read_list(text) {
                Some(listed) => versions.get_or_insert_default().extend(listed),
                None => faults.header("If-Match", "must be * or a list of entity tags such as \"3\""),
            },
            None => faults.header("If-Match", "must be text"),
        }
    }
    versions.map(IfMatch::OneOf)
}
