use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use order_application::{EventFilter, EventPage, Position, QueryError};
use order_domain::OrderId;
use utoipa_axum::routes;

use super::event_page::{self, EventTypeFilter};
use super::live_feed;
use crate::Api;
use crate::access::{Question, Scope};
use crate::asked_by::AskedBy;
use crate::feeds::FeedOptions;
use crate::openapi::{After, Event, LastEventId, LogRefusals, OrderFilter, PageSize};
use crate::query::Query;
use crate::refusal::Refusal;

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of(Scope::Events, routes!(log))
}

/// Read or follow the log of all orders
///
/// Every event of every order in commit order, as CloudEvents 1.0. Positions start at 1 and have no gaps.
///
/// **Pages.** The `Link` header leads to the next page and is absent at the end; later go on with `after` set to the
/// `position` of the last event you have. A page with `type` looks at a bounded stretch of the log: it may be short or empty,
/// and its `Link` goes on.
///
/// **Live.** With `Accept: text/event-stream` the same comes as server-sent events: first what was, from `after`
/// (the beginning, if left out), then what comes, as it is committed. `id:` is the position, `data:` the whole event; with
/// `event_names=true` there is also `event:`, the type, and a browser's `onmessage` then hears none of them. After a break
/// reconnect with `Last-Event-ID` (browsers do so by themselves); it wins over `after`, and nothing is lost or repeated. At
/// once and every 15 s an `id:` comes alone: it keeps the connection alive and says how far the log has been looked at, so
/// that a feed with a filter goes on from there. `limit` has no meaning for it. When the service stops, the feed ends:
/// reconnect.
///
/// A position beyond the end of the log is refused: whoever has seen it has read another log, one from before a restore
/// perhaps, and would miss what comes. A replica, which may only be behind, asks to come again instead.
#[utoipa::path(
    get, path = "/events", tag = "Events", operation_id = "log",
    params(
        ("after" = inline(Option<After>), Query, description = "Only events after this position; 0, the beginning, if left out."),
        ("limit" = inline(Option<PageSize>), Query, description = "Most events of one page; 100 if left out. A page of large events may have fewer."),
        ("type" = inline(Option<Vec<EventTypeFilter>>), Query, explode, max_items = 100, description = "Only events of this type, which may be one that this release does not know; may be repeated."),
        ("order_id" = inline(Option<OrderFilter>), Query, description = "Only events of this order."),
        ("event_names" = Option<bool>, Query, description = "Live: whether each event comes with its type as `event:`; false if left out."),
        ("Last-Event-ID" = inline(Option<LastEventId>), Header, description = "Live: the position of the last event that was received. Wins over `after`."),
    ),
    responses(
        (status = 200, description = "A page of events as a bare array, or the live feed.", headers(
            ("Link" = String, description = "Of a page: `</events?…>; rel=\"next\"` (RFC 8288), relative; absent at the end."),
        ), content(
            (Vec<Event> = "application/cloudevents-batch+json"),
            (String = "text/event-stream", example = "id: 1\ndata: {\"specversion\":\"1.0\",\"position\":\"1\"}\n\n"),
        )),
        LogRefusals,
    ),
)]
pub(crate) async fn log(
    State(api): State<Api>,
    asked_by: Option<Extension<AskedBy>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let mut query = Query::new(uri.query());
    let after = query.place("after").unwrap_or_default();
    let limit = event_page::limit(&mut query);
    let types = event_page::types(&mut query);
    let order_id = query.one("order_id", |text| OrderId::new(text).map_err(|error| error.to_string().into()));
    let filter = EventFilter { types, order_id };
    let event_names = query.flag("event_names");
    let live = live_feed::is_wanted(&headers);
    let last_event_id = if live { live_feed::last_event_id(&headers, &mut query.faults) } else { None };
    query.finish()?;

    let asked_by = asked_by.as_deref();
    if live {
        let after = Position(last_event_id.unwrap_or(after));
        let options = FeedOptions { filter, event_names };
        return live_feed::follow(&api, (asked_by, &headers), after, options).await;
    }
    let reading = async {
        let page = api.service.log(Position(after), &filter, limit).await;
        page.map_err(|error| refusal(&api, error))
    };
    let (EventPage { events, next }, share) = event_page::read(&api, asked_by, limit, reading).await?;
    let next = next.map(|Position(next)| event_page::target("/events", next, limit, &filter));
    Ok(event_page::page(&api, events, next, share))
}

/// A position that the log does not have is one of another log, unless this is a replica, which may only be behind.
pub(super) fn refusal(api: &Api, error: QueryError) -> Refusal {
    if let QueryError::PositionAhead { last_position } = error
        && !api.config.takes_commands
    {
        return Refusal::replica_behind(last_position);
    }
    error.into()
}
