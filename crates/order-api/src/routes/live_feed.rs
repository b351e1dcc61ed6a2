//! The log as server-sent events (WHATWG HTML, 9.2): first what was, then what comes.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use order_application::{EventFilter, Position, RecordedEvent, Subscription, cloud_event};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::log;
use crate::json::Faults;
use crate::query;
use crate::refusal::Refusal;
use crate::{Api, answer};

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx, and proxies that do as it does, to hand on each event as it comes.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

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

/// Starts a feed after a position. It holds at most one page of the log at a time, and asks for the next only when
/// the connection has taken the last: a slow client costs nothing more.
///
/// # Errors
/// When there are too many feeds, when the log does not reach the position, or when it cannot be asked.
pub(super) async fn follow(
    api: Api,
    after: Position,
    filter: EventFilter,
    event_names: bool,
) -> Result<Response, Refusal> {
    let permit = Arc::clone(&api.feeds).try_acquire_owned().map_err(|_| Refusal::too_many_feeds())?;
    let subscription = api.service.subscribe(after).await.map_err(|error| log::refusal(&api, error))?;
    let period = api.config.feed_heartbeat;
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed { subscription, heartbeat, filter, event_names, api, _permit: permit };
    // The head of the answer travels with the first bytes of its body: without any, a client whose feed is quiet would
    // not learn that it is connected.
    let first = feed.place();
    let chunks = stream::unfold(feed, |mut feed| async { Some((feed.next_chunk().await?, feed)) });
    let chunks = stream::iter([first]).chain(chunks).map(Ok::<_, Infallible>);
    let mut response = answer::of("text/event-stream", Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(&X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

struct Feed {
    subscription: Subscription,
    heartbeat: Interval,
    filter: EventFilter,
    event_names: bool,
    api: Api,
    /// Lets the next feed in when this one is over.
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// The next bytes to send; `None` ends the feed, and the client comes back with the id that it saw last.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            let events = tokio::select! {
                biased;
                () = self.api.config.shutdown.cancelled() => return None,
                // Before the events, so that a feed whose filter lets nothing through is kept alive as well.
                _ = self.heartbeat.tick() => return Some(self.place()),
                events = self.subscription.next() => events,
            };
            match events {
                Ok(Some(events)) => {
                    let chunk = self.frames(&events);
                    if !chunk.is_empty() {
                        return Some(chunk.into());
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    tracing::error!(%error, position = %self.subscription.position(), "a live feed ended early");
                    return None;
                }
            }
        }
    }

    /// How far the log has been looked at. Without data it is no message, and clients remember it all the same.
    fn place(&self) -> Bytes {
        format!("id: {}\n\n", self.subscription.position()).into()
    }

    fn frames(&self, events: &[RecordedEvent]) -> String {
        let mut out = String::new();
        for event in events.iter().filter(|event| self.filter.lets_through(event)) {
            out.reserve(event.data.len() + cloud_event::ENVELOPE_BYTES);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "id: {}", event.position);
            if self.event_names {
                let _ = writeln!(out, "event: {}", event.event_type);
            }
            out.push_str("data: ");
            cloud_event::write(&mut out, &self.api.event_source, event);
            out.push_str("\n\n");
        }
        out
    }
}
