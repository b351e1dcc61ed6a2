//! The log as server-sent events (WHATWG HTML, 9.2): first what was, then what comes.

use std::convert::Infallible;
use std::fmt::Write;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use order_application::{Position, RecordedEvent, Subscription, cloud_event};
use order_domain::OrderId;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::Api;
use crate::json::Faults;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Says nothing, and keeps a connection alive.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Which events a feed sends.
pub(super) struct Filter {
    pub(super) types: Vec<String>,
    pub(super) order_id: Option<OrderId>,
}

impl Filter {
    fn lets_through(&self, event: &RecordedEvent) -> bool {
        (self.types.is_empty() || self.types.iter().any(|wanted| *wanted == event.event_type))
            && self.order_id.as_ref().is_none_or(|wanted| *wanted == event.order_id)
    }
}

/// Whether the client asks for a feed rather than a page.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let (essence, weight) = range.split_once(';').unwrap_or((range, ""));
        essence.trim().eq_ignore_ascii_case("text/event-stream") && weight.trim() != "q=0"
    })
}

/// Where a client that was cut off goes on.
pub(super) fn last_event_id(headers: &HeaderMap, faults: &mut Faults) -> Option<Position> {
    let value = headers.get(&LAST_EVENT_ID)?.as_bytes();
    if value.is_empty() {
        return None;
    }
    let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let position = digits.and_then(|text| text.parse().ok()).map(Position);
    if position.is_none() {
        faults.header("Last-Event-ID", "must be the id of an event of this feed");
    }
    position
}

/// Starts a feed after a position. It holds at most one page of the log at a time, and asks for the next only when
/// the connection has taken the last: a slow client costs nothing more.
pub(super) fn follow(api: Api, after: Position, filter: Filter) -> Response {
    let period = api.config.feed_heartbeat;
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed { subscription: api.service.subscribe(after), heartbeat, filter, api };
    let chunks = stream::unfold(feed, |mut feed| async { Some((feed.next_chunk().await?, feed)) });
    // The head of the answer travels with the first bytes of its body: without any, a client whose feed is quiet would
    // not learn that it is connected.
    let chunks = stream::iter([COMMENT]).chain(chunks).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

struct Feed {
    subscription: Subscription,
    heartbeat: Interval,
    filter: Filter,
    api: Api,
}

impl Feed {
    /// The next bytes to send; `None` ends the feed, and the client comes back with the id that it saw last.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            let events = tokio::select! {
                biased;
                () = self.api.config.shutdown.cancelled() => return None,
                // Before the events, so that a feed whose filter lets nothing through is kept alive as well.
                _ = self.heartbeat.tick() => return Some(COMMENT),
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

    fn frames(&self, events: &[RecordedEvent]) -> String {
        let mut out = String::new();
        for event in events.iter().filter(|event| self.filter.lets_through(event)) {
            out.reserve(event.data.len() + cloud_event::ENVELOPE_BYTES);
            // Writing to a String cannot fail.
            let _ = write!(out, "id: {}\nevent: {}\ndata: ", event.position, event.event_type);
            cloud_event::write(&mut out, &self.api.event_source, event);
            out.push_str("\n\n");
        }
        out
    }
}
