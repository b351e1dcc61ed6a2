use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};

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
