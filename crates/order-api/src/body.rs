//! Taking a request's body off the wire, with bounds on its size and its time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};

use crate::config::ApiConfig;
use crate::refusal::Refusal;

/// Most bytes that are read and thrown away so that a client that is still sending gets to read its refusal. Beyond
/// that the connection is closed under it.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;
/// Longest time for that.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(10);

/// What a body says that is not there, where it may be missing.
const NO_MEMBERS: &[u8] = b"{}";

/// Reads a JSON body. One that may be missing need not be announced either.
///
/// # Errors
/// When it is of another media type, too long or too slow.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    may_be_missing: bool,
    config: &ApiConfig,
) -> Result<Vec<u8>, Refusal> {
    let max_bytes = config.max_body_bytes;
    let is_json = is_json(headers);
    let refusal = if !is_json && !may_be_missing {
        Refusal::unsupported_media_type()
    } else if body.size_hint().lower() > max_bytes as u64 {
        Refusal::body_too_large(max_bytes)
    } else {
        let reading = tokio::time::timeout(config.body_timeout, collect(&mut body, max_bytes));
        match reading.await.unwrap_or_else(|_| Err(Refusal::body_too_slow()))? {
            Some(bytes) if bytes.is_empty() && may_be_missing => return Ok(NO_MEMBERS.to_vec()),
            Some(bytes) if is_json => return Ok(bytes),
            Some(_) => Refusal::unsupported_media_type(),
            None => Refusal::body_too_large(max_bytes),
        }
    };
    drain(headers, body).await;
    Err(refusal)
}

/// Takes what is left of a request that is refused without a look at its body.
pub(crate) async fn drain_request(request: Request) {
    let (parts, body) = request.into_parts();
    drain(&parts.headers, body).await;
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &[u8]| {
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        value[..end].trim_ascii().eq_ignore_ascii_case(b"application/json")
    };
    let identity = |value: &[u8]| value.eq_ignore_ascii_case(b"identity");
    headers.get(header::CONTENT_TYPE).is_some_and(|value| essence(value.as_bytes()))
        && headers.get(header::CONTENT_ENCODING).is_none_or(|value| identity(value.as_bytes()))
}

/// The whole body; `None` when it is longer than allowed.
async fn collect(body: &mut Body, max_bytes: usize) -> Result<Option<Vec<u8>>, Refusal> {
    let mut collected = Vec::new();
    // Where its length says that it is over: to wait for its end would cost the connection another turn.
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        // Trailers carry nothing that anyone asked for.
        if let Ok(chunk) = frame.map_err(|_| Refusal::body_broken())?.into_data() {
            collected.extend_from_slice(&chunk);
        }
        if collected.len() > max_bytes {
            return Ok(None);
        }
    }
    Ok(Some(collected))
}

async fn drain(headers: &HeaderMap, body: Body) {
    // A client that asks before it sends reads the refusal and never sends.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut rest = Limited::new(body, MAX_DRAINED_BYTES);
    let draining = async { while let Some(Ok(_)) = rest.frame().await {} };
    // Whether it was all, or too much, or ran out of time: the refusal is sent now.
    let _ = tokio::time::timeout(MAX_DRAIN_TIME, draining).await;
}
