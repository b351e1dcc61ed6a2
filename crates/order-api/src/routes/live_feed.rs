//! The log as server-sent events (WHATWG HTML, 9.2): first what was, then what comes.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use order_application::Position;

use super::log;
use crate::access::{Credentials, Scope};
use crate::asked_by::AskedBy;
use crate::feeds::{CannotFollow, FeedOptions};
use crate::json::Faults;
use crate::query;
use crate::refusal::Refusal;
use crate::{Api, answer};

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx, and proxies that do as it does, to hand on each event as it comes.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Goes with the answer that is a live feed. It has no end, so a client that says no more has left.
#[derive(Debug, Clone, Copy)]
pub struct LiveFeed;

/// Whether the client asks for a feed rather than a page.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_feed = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("text/event-stream"));
        is_feed && !parts.any(is_zero_weight)
    })
}

/// `q=0`, `q=0.0` and so on: not acceptable (RFC 9110, 12.4.2).
fn is_zero_weight(parameter: &str) -> bool {
    let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    weight.is_some_and(|weight| {
        weight.starts_with('0') && weight.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    })
}

/// Where a client that was cut off goes on.
pub(super) fn last_event_id(headers: &HeaderMap, faults: &mut Faults) -> Option<u64> {
    let value = headers.get(&LAST_EVENT_ID)?.as_bytes();
    if value.is_empty() {
        return None;
    }
    let position = query::place(value);
    if position.is_none() {
        faults.header("Last-Event-ID", "must be the id of an event of this feed");
    }
    position
}

/// Starts a feed after a position. It ends when whoever asks for it may see the log no more.
///
/// # Errors
/// When there are too many feeds, when the log does not reach the position, or when it cannot be asked.
pub(super) async fn follow(
    api: &Api,
    (asked_by, headers): (Option<&AskedBy>, &HeaderMap),
    after: Position,
    options: FeedOptions,
) -> Result<Response, Refusal> {
    let feed = api.feeds.follow(asked_by, after, options).await.map_err(|error| match error {
        CannotFollow::TooMany => Refusal::too_many_feeds(),
        CannotFollow::Query(error) => log::refusal(api, error),
    })?;
    // The head of the answer travels with the first bytes of its body: without any, a client whose feed is quiet would
    // not learn that it is connected.
    let first = feed.place();
    let chunks = stream::unfold(feed, |mut feed| async { Some((feed.next_chunk().await?, feed)) });
    let shut_out = shut_out(api, headers);
    let chunks = stream::iter([first]).chain(chunks.take_until(shut_out)).map(Ok::<_, Infallible>);
    let mut response = answer::of("text/event-stream", Body::from_stream(chunks));
    response.extensions_mut().insert(LiveFeed);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(&X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// Returns when the credentials of a request, which were good, are so no more.
fn shut_out(api: &Api, headers: &HeaderMap) -> impl Future<Output = ()> + Send + 'static {
    let token = Credentials::read(headers).token().map(str::to_owned);
    let watched = api.config.access.clone().zip(token);
    async move {
        match watched {
            Some((access, token)) => access.shut_out(&token, Scope::Events).await,
            None => std::future::pending().await,
        }
    }
}
