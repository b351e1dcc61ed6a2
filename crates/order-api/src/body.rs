//! Taking a request's body off the wire, with bounds on its size and its time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;

use crate::config::ApiConfig;
use crate::refusal::Refusal;

/// Most bytes that are read and thrown away so that a client that is still sending gets to read its refusal. Beyond
/// that the connection is closed under it.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;
/// Longest time for that.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(10);

/// Reads a JSON body.
///
/// # Errors
/// When it is of another media type, too long or too slow.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body, config: &ApiConfig) -> Result<Bytes, Refusal> {
    let max_bytes = config.max_body_bytes;
    let refusal = if !is_json(headers) {
        Refusal::UnsupportedMediaType
    } else if body.size_hint().lower() > max_bytes as u64 {
        Refusal::BodyTooLarge { max_bytes }
    } else {
        let reading = tokio::time::timeout(config.body_timeout, collect(&mut body, max_bytes));
        match reading.await.unwrap_or(Err(Refusal::BodyTooSlow))? {
            Some(bytes) => return Ok(bytes),
            None => Refusal::BodyTooLarge { max_bytes },
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
async fn collect(body: &mut Body, max_bytes: usize) -> Result<Option<Bytes>, Refusal> {
    let Some(first) = next_chunk(body).await? else { return Ok(Some(Bytes::new())) };
    if first.len() <= max_bytes && body.is_end_stream() {
        return Ok(Some(first));
    }
    let mut collected = first.to_vec();
    while collected.len() <= max_bytes {
        match next_chunk(body).await? {
            Some(chunk) => collected.extend_from_slice(&chunk),
            None => return Ok(Some(collected.into())),
        }
    }
    Ok(None)
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        // Trailers carry nothing that anyone asked for.
        if let Ok(data) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn drain(headers: &HeaderMap, body: Body) {
    // A client that asks before it sends reads the refusal and never sends.
    if !headers.contains_key(header::EXPECT) {
        throw_away(body).await;
    }
}

async fn throw_away(mut body: Body) {
    let draining = async {
        let mut left = MAX_DRAINED_BYTES;
        while let Ok(Some(chunk)) = next_chunk(&mut body).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whether it was all or ran out of time: the refusal is sent now.
    let _ = tokio::time::timeout(MAX_DRAIN_TIME, draining).await;
}
