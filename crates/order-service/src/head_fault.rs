//! What is wrong with a request's head: with one that hyper does not take, and with one that it takes though it should not.

use axum::http::{HeaderMap, HeaderValue, Version, header};
use order_api::HeadFault;

/// Most fields of a head. Over HTTP/1 hyper itself takes no more.
const MAX_FIELDS: usize = 100;

/// What is wrong with the fields of a head that hyper has taken, if anything is.
pub(crate) fn of_fields(version: Version, fields: &HeaderMap) -> Option<HeadFault> {
    #[cfg(feature = "full-tests")]
    if crate::planted_faults::heads_are_believed() {
        return None;
    }
    if fields.len() > MAX_FIELDS {
        return Some(HeadFault::TooLarge);
    }
    let hosts = fields.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Some(HeadFault::NotOneHost);
    }
    // To hyper it is enough that chunks come last: a front server that reads it otherwise would find another end of the body.
    let mut encodings = fields.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked =
        |encoding: &HeaderValue| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let in_chunks = encodings.next().is_none_or(is_chunked) && encodings.next().is_none();
    (!in_chunks).then_some(HeadFault::NotInChunks)
}

/// What is wrong with the head that a connection ended with. `unread` is what is left of what came.
pub(crate) fn of_error(error: &hyper::Error, unread: &[u8]) -> HeadFault {
    if error.is_timeout() {
        HeadFault::TooSlow
    } else if error.is_parse_too_large() && !begins_with_head(unread) {
        // The head itself could be read, and was: it is its Content-Length that is too large.
        HeadFault::BodyTooLarge
    } else if error.is_parse_too_large() {
        HeadFault::TooLarge
    } else {
        HeadFault::Malformed
    }
}

/// Whether a request line begins there: with a method.
fn begins_with_head(bytes: &[u8]) -> bool {
    let method = bytes.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or_default();
    !method.is_empty() && method.iter().all(u8::is_ascii_uppercase)
}
