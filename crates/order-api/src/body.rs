//! Taking a request's body off the wire, with bounds on its size, its time, and on what all bodies take together.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Version, header};
use http_body_util::{BodyExt, Limited};

use crate::ApiState;
use crate::asked_by::AskedBy;
use crate::config::ApiConfig;
use crate::refusal::Refusal;
use crate::shares::{NotGiven, Share};

/// Most bytes that are read and thrown away so that a client that is still sending gets to read its refusal. Beyond
/// that the connection is closed under it.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;
/// Longest time for that.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(10);

/// What a body says that is not there, where it may be missing.
const NO_MEMBERS: &[u8] = b"{}";

/// Bodies up to so many bytes are small, and have a share of the budget of their own: large ones never keep them out.
const SMALL_BODY_BYTES: usize = 16 * 1024;
/// A large body is given at least as much memory at a time.
const GROWTH_BYTES: usize = 64 * 1024;
/// What part of the budget that share is.
const SHARE_OF_SMALL_BODIES: usize = 8;

/// A body of which something has come within this time gives way to nobody.
const LEAST_STILLNESS: Duration = Duration::from_millis(200);

/// A whole body, whose bytes are counted among those of all bodies until it is dropped.
pub(crate) struct WholeBody {
    bytes: Vec<u8>,
    _share: Share,
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
    /// Nothing more of it is read: it broke off, did not come in time, or had to give way.
    Over(Refusal),
}

/// Reads a JSON body. One that may be missing need not be announced either.
///
/// # Errors
/// When it is of another media type, too long or too slow, or when all bodies together would take more than they may.
pub(crate) async fn read(
    parts: &Parts,
    mut body: Body,
    may_be_missing: bool,
    api: &ApiState,
) -> Result<WholeBody, Refusal> {
    let (config, headers) = (&api.config, &parts.headers);
    let is_json = is_json(headers);
    if !is_json && !may_be_missing {
        drain(parts, body);
        return Err(Refusal::unsupported_media_type());
    }
    let share = api.bodies.nothing(parts.extensions.get::<AskedBy>());
    let reading = collect(&mut body, config, share);
    let reading = tokio::time::timeout(config.body_timeout, reading);
    match reading.await.unwrap_or_else(|_| Err(Unread::Over(Refusal::body_too_slow()))) {
        Ok(mut whole) if whole.is_empty() && may_be_missing => {
            whole.bytes.extend_from_slice(NO_MEMBERS);
            Ok(whole)
        }
        Ok(whole) if is_json => Ok(whole),
        Ok(_) => Err(Refusal::unsupported_media_type()),
        Err(Unread::TooLong) => {
            drain(parts, body);
            Err(Refusal::body_too_large(config.max_body_bytes))
        }
        Err(Unread::NoRoom) => {
            drain(parts, body);
            Err(Refusal::too_many_bodies())
        }
        Err(Unread::Over(refusal)) => Err(refusal),
    }
}

/// Takes the body of a request that only asks for something. It says nothing there (RFC 9110, 9.3.1), and comes when it comes.
pub(crate) fn drain_unread(request: &mut Request) {
    if request.method().is_safe() && !request.body().is_end_stream() {
        let (parts, body) = std::mem::take(request).into_parts();
        drain(&parts, body);
        *request = Request::from_parts(parts, Body::empty());
    }
}

/// Takes what is left of a request that is refused without a look at its body.
pub(crate) fn drain_request(request: Request) {
    let (parts, body) = request.into_parts();
    drain(&parts, body);
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
/// the budget the memory for what has come of it while more is waited for.
async fn collect(body: &mut Body, config: &ApiConfig, mut share: Share) -> Result<WholeBody, Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > config.max_body_bytes {
        return Err(Unread::TooLong);
    }
    if announced > SMALL_BODY_BYTES {
        make_room(&mut share, |share| share.could_grow_to(announced, spared(announced, config)))?;
    }
    let mut bytes = Vec::<u8>::new();
    // Where its length says that it is over: to wait for its end would cost the connection another turn.
    while !body.is_end_stream() {
        // Also what nothing was written into yet: a system with huge pages gives all of it at the first byte.
        let taken = bytes.capacity();
        make_room(&mut share, |share| share.grow_to(taken, spared(taken, config)))?;
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = share.called_in() => return Err(Unread::Over(Refusal::body_gave_way())),
        };
        let Some(frame) = frame else { break };
        // Trailers carry nothing that anyone asked for.
        if let Ok(chunk) = frame.map_err(|_| Unread::Over(Refusal::body_broken()))?.into_data() {
            if bytes.len() + chunk.len() > SMALL_BODY_BYTES.max(bytes.capacity()) {
                bytes.reserve_exact(growth(bytes.len(), announced).max(chunk.len()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() > config.max_body_bytes {
            return Err(Unread::TooLong);
        }
    }
    share.settle();
    Ok(WholeBody { bytes, _share: share })
}

/// How much memory more is taken for a body of which so much has come: it doubles, up to what was announced. Where nothing was, half of
/// it might never be needed.
fn growth(bytes: usize, announced: usize) -> usize {
    if announced > bytes { bytes.max(GROWTH_BYTES).min(announced - bytes) } else { GROWTH_BYTES }
}

/// What a body that has come so far leaves to small ones.
fn spared(bytes: usize, config: &ApiConfig) -> usize {
    if bytes > SMALL_BODY_BYTES { config.max_open_body_bytes / SHARE_OF_SMALL_BODIES } else { 0 }
}

/// Tries until there is room. As long as there is none, the body gives way that has made least progress for longest. It ends, since
/// each time there is a body less.
fn make_room(
    share: &mut Share,
    mut attempt: impl FnMut(&mut Share) -> Result<(), NotGiven>,
) -> Result<(), Unread> {
    loop {
        match attempt(share) {
            Ok(()) => return Ok(()),
            Err(NotGiven::Short) if share.call_in_stillest(LEAST_STILLNESS) => {}
            Err(NotGiven::Short | NotGiven::HasMuch) => return Err(Unread::NoRoom),
            Err(NotGiven::CalledIn) => return Err(Unread::Over(Refusal::body_gave_way())),
        }
    }
}

/// Throws away what is left of a body. The refusal does not wait for a client that may never end, and one that does end gets to read
/// it.
fn drain(parts: &Parts, body: Body) {
    // Over HTTP/2 the refusal ends the request, and is read however much is still to be sent (RFC 9113, 8.1).
    let ends_with_answer = parts.version == Version::HTTP_2;
    // A client that asks before it sends reads the refusal and never sends.
    if ends_with_answer || parts.headers.contains_key(header::EXPECT) || body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let mut rest = Limited::new(body, MAX_DRAINED_BYTES);
        let draining = async { while let Some(Ok(_)) = rest.frame().await {} };
        // Whether it was all, or too much, or ran out of time: nothing more is read.
        let _ = tokio::time::timeout(MAX_DRAIN_TIME, draining).await;
    });
}
