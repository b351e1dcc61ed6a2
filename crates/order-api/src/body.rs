//! Taking a request's body off the wire, with bounds on its size, its time, and on what all bodies take together.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};

use crate::ApiState;
use crate::byte_budget::{ByteBudget, Reservation};
use crate::config::ApiConfig;
use crate::refusal::Refusal;

/// Most bytes that are read and thrown away so that a client that is still sending gets to read its refusal. Beyond
/// that the connection is closed under it.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;
/// Longest time for that.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(10);

/// What a body says that is not there, where it may be missing.
const NO_MEMBERS: &[u8] = b"{}";

/// Bodies up to so many bytes are small, and have a share of the budget of their own: large ones never keep them out.
const SMALL_BODY_BYTES: usize = 16 * 1024;
/// What part of the budget that share is.
const SHARE_OF_SMALL_BODIES: usize = 8;

/// A whole body, whose bytes are counted among those of all bodies until it is dropped.
pub(crate) struct WholeBody {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a body was not read.
enum Unread {
    /// It is longer than allowed, and the client may still be sending.
    TooLong,
    /// All bodies together would take more than they may.
    NoRoom,
    /// Nothing more of it comes, or it did not come in time.
    Over(Refusal),
}

/// Reads a JSON body. One that may be missing need not be announced either.
///
/// # Errors
/// When it is of another media type, too long or too slow, or when all bodies together would take more than they may.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    may_be_missing: bool,
    api: &ApiState,
) -> Result<WholeBody, Refusal> {
    let config = &api.config;
    let is_json = is_json(headers);
    if !is_json && !may_be_missing {
        drain(headers, body).await;
        return Err(Refusal::unsupported_media_type());
    }
    let reading = tokio::time::timeout(config.body_timeout, collect(&mut body, config, &api.bodies));
    match reading.await.unwrap_or_else(|_| Err(Unread::Over(Refusal::body_too_slow()))) {
        Ok(mut whole) if whole.is_empty() && may_be_missing => {
            whole.bytes.extend_from_slice(NO_MEMBERS);
            Ok(whole)
        }
        Ok(whole) if is_json => Ok(whole),
        Ok(_) => Err(Refusal::unsupported_media_type()),
        Err(Unread::TooLong) => {
            drain(headers, body).await;
            Err(Refusal::body_too_large(config.max_body_bytes))
        }
        Err(Unread::NoRoom) => {
            // The answer does not wait for a client that may never end, and one that does end gets to read it.
            let headers = headers.clone();
            tokio::spawn(async move { drain(&headers, body).await });
            Err(Refusal::too_many_bodies())
        }
        Err(Unread::Over(refusal)) => Err(refusal),
    }
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

/// The whole body. A length that is only announced is not set aside, since it costs nothing to announce: a body takes of
/// the budget what has come of it while more is waited for.
async fn collect(body: &mut Body, config: &ApiConfig, budget: &ByteBudget) -> Result<WholeBody, Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > config.max_body_bytes {
        return Err(Unread::TooLong);
    }
    let spared =
        |bytes| if bytes > SMALL_BODY_BYTES { config.max_open_body_bytes / SHARE_OF_SMALL_BODIES } else { 0 };
    if announced > SMALL_BODY_BYTES && !budget.has_room(announced, spared(announced)) {
        return Err(Unread::NoRoom);
    }
    let (mut bytes, mut reservation) = (Vec::new(), budget.nothing());
    // Where its length says that it is over: to wait for its end would cost the connection another turn.
    while !body.is_end_stream() {
        if !reservation.grow_to(bytes.len(), spared(bytes.len())) {
            return Err(Unread::NoRoom);
        }
        let Some(frame) = body.frame().await else { break };
        // Trailers carry nothing that anyone asked for.
        if let Ok(chunk) = frame.map_err(|_| Unread::Over(Refusal::body_broken()))?.into_data() {
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() > config.max_body_bytes {
            return Err(Unread::TooLong);
        }
    }
    Ok(WholeBody { bytes, _reservation: reservation })
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
