//! What a page of the log and a page of one order's history have in common.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::vec;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use order_application::{EventFilter, EventPage, PageLimit, RecordedEvent, cloud_event};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::asked_by::AskedBy;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::shares::Share;
use crate::{Api, ApiState, answer, no_room};

const DEFAULT_EVENTS: u64 = 100;
const MAX_EVENTS: u64 = 1_000;
/// Most bytes of event data of one page, about.
const MAX_BYTES: usize = 1024 * 1024;
/// What an event of a page takes, about, until it is written out.
const EVENT_BYTES: usize = 1024;
/// What it takes besides its data, about.
const ENVELOPE_BYTES: usize = 512;
/// Pages are written out in pieces of this many bytes, about.
const PIECE_BYTES: usize = 64 * 1024;
/// Most types of one filter, and the longest of them.
const MAX_TYPES: usize = 100;
const MAX_TYPE_BYTES: usize = 128;

/// Reads the query parameter `limit`.
pub(super) fn limit(query: &mut Query<'_>) -> PageLimit {
    let events = query.number("limit", 1..=MAX_EVENTS).unwrap_or(DEFAULT_EVENTS) as usize;
    PageLimit { events, bytes: MAX_BYTES }
}

/// Reads the query parameter `type`, which may be repeated. It may be one that only a later release knows.
pub(super) fn types(query: &mut Query<'_>) -> BTreeSet<String> {
    let types = query.all("type");
    if types.len() > MAX_TYPES {
        query.faults.parameter("type", format!("may be given at most {MAX_TYPES} times"));
    } else if !types.iter().all(|given| is_event_type(given)) {
        query.faults.parameter("type", "must be a type of events such as order.placed.v1");
    }
    types.into_iter().map(|given| given.into_owned()).collect()
}

/// The same as a schema.
pub(super) enum EventTypeFilter {}

impl ToSchema for EventTypeFilter {}

impl PartialSchema for EventTypeFilter {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_TYPE_BYTES));
        let text = text.pattern(Some(r"^[a-z0-9_]+(\.[a-z0-9_]+)*\.v[0-9]+$"));
        text.examples(["order.placed.v1"]).into()
    }
}

/// Words in snake case and the version of their data's shape, parted by dots.
fn is_event_type(text: &str) -> bool {
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= MAX_TYPE_BYTES
        && text
            .rsplit_once(".v")
            .is_some_and(|(name, version)| name.split('.').all(is_word) && is_number(version))
}

/// Reads a page of at most so many events. Room is set aside for it before, as for small events; afterwards it counts for what they
/// take. Only a few are read at a time, which bounds what does not count yet.
///
/// # Errors
/// When all pages would take more than they may; and as `reading`.
pub(super) async fn read<P>(
    api: &ApiState,
    asked_by: Option<&AskedBy>,
    limit: PageLimit,
    reading: impl Future<Output = Result<EventPage<P>, Refusal>>,
) -> Result<(EventPage<P>, Share), Refusal> {
    let bytes = limit.bytes.min(limit.events * EVENT_BYTES);
    let mut share = no_room::reserve_page(api, asked_by, bytes)?;
    let _turn = api.event_pages.turn_of(asked_by, &api.config.shutdown).await.map_err(Refusal::no_turn)?;
    let page = reading.await?;
    let bytes = page.events.iter().map(|event| ENVELOPE_BYTES + event.data.len()).sum();
    no_room::grow_page(&mut share, bytes)?;
    Ok((page, share))
}

/// The answer with a page of events, and a link to the next page if there is one.
pub(super) fn page(
    api: &Api,
    events: Vec<RecordedEvent>,
    next: Option<String>,
    reservation: Share,
) -> Response {
    let page = Pieces {
        api: Arc::clone(api),
        events: events.into_iter(),
        is_begun: false,
        _reservation: reservation,
    };
    let mut response = answer::of("application/cloudevents-batch+json", page.into_body());
    if let Some(next) = next {
        answer::link_to_next(&mut response, &next);
    }
    response
}

/// Events of a page that are still to be written out.
struct Pieces {
    api: Api,
    events: vec::IntoIter<RecordedEvent>,
    is_begun: bool,
    _reservation: Share,
}

impl Pieces {
    /// A page of one piece is written at once; another as the connection takes it.
    fn into_body(mut self) -> Body {
        let first = self.next().unwrap_or_default();
        if self.events.as_slice().is_empty() {
            return answer::counted(first.into_bytes(), self._reservation).into();
        }
        Body::from_stream(stream::iter([first].into_iter().chain(self).map(Ok::<_, Infallible>)))
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut piece = String::new();
        if !self.is_begun {
            piece.push('[');
        } else if self.events.as_slice().is_empty() {
            return None;
        }
        while piece.len() < PIECE_BYTES
            && let Some(event) = self.events.next()
        {
            if std::mem::replace(&mut self.is_begun, true) {
                piece.push(',');
            }
            cloud_event::write(&mut piece, &self.api.event_source, &event);
        }
        if self.events.as_slice().is_empty() {
            self.is_begun = true;
            piece.push(']');
        }
        Some(piece)
    }
}

/// Where a page at `path` is that begins after a version or a position, with the rest of the query as it was.
pub(super) fn target(path: &str, after: u64, limit: PageLimit, filter: &EventFilter) -> String {
    let mut target = format!("{path}?after={after}&limit={}", limit.events);
    // Neither a type nor an order's id has anything to escape. Writing to a String cannot fail.
    for event_type in &filter.types {
        let _ = write!(target, "&type={event_type}");
    }
    if let Some(order_id) = &filter.order_id {
        let _ = write!(target, "&order_id={order_id}");
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_words_and_a_version() {
        for given in ["order.placed.v1", "order.payment_authorized.v12", "a.v0", "order.v.v1"] {
            assert!(is_event_type(given), "{given}");
        }
        let longest = format!("{}.v1", "x".repeat(125));
        assert!(is_event_type(&longest));
        let too_long = format!("x{longest}");
        for given in [
            "",
            ".v1",
            "x",
            "order.placed",
            "order.placed.v",
            "order..placed.v1",
            "Order.placed.v1",
            "a b.v1",
        ] {
            assert!(!is_event_type(given), "{given}");
        }
        assert!(!is_event_type(&too_long));
    }
}
