use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use order_application::{
    OrderService, PageLimit, Position, QueryError, RecordedEvent, StoreError, Version, cloud_event, codec,
};
use order_domain::OrderId;

use super::live_feed;
use crate::Api;
use crate::openapi::{After, Event, ReadRefusals};
use crate::query::Query;
use crate::refusal::Refusal;

pub(super) const DEFAULT_LIMIT: u64 = 100;
pub(super) const MAX_LIMIT: u64 = 1_000;

/// Read or follow the log of all orders
///
/// Every event of every order in commit order, as CloudEvents 1.0. Positions start at 1 and have no gaps.
///
/// **Pages.** Set `after` to the `position` of the last event you have; past the newest event the page is empty.
///
/// **Live.** With `Accept: text/event-stream` the same comes as server-sent events: first what was, from `after`
/// (the beginning, if left out), then what comes, as it is committed. `id:` is the position, `event:` the type,
/// `data:` the whole event. After a break reconnect with `Last-Event-ID` (browsers do so by themselves); it wins over
/// `after`, and nothing is lost or repeated. A comment at once and every 15 s keeps the connection alive; `limit` has no meaning there.
/// When the service stops, the feed ends: reconnect.
#[utoipa::path(
    get, path = "/events", tag = "Events", operation_id = "log",
    params(
        ("after" = inline(Option<After>), Query, description = "Only events after this position; 0, the beginning, if left out."),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "Most events of one page; 100 if left out. A page of large events may have fewer."),
        ("type" = Option<Vec<String>>, Query, explode, description = "Only events of this type, such as `order.placed.v1`; may be repeated."),
        ("order_id" = Option<String>, Query, description = "Only events of this order."),
        ("Last-Event-ID" = Option<String>, Header, description = "Live: the position of the last event that was received. Wins over `after`."),
    ),
    responses(
        (status = 200, description = "A page of events as a bare array, or the live feed.", content(
            (Vec<Event> = "application/cloudevents-batch+json"),
            (String = "text/event-stream", example = "id: 1\nevent: order.placed.v1\ndata: {\"specversion\":\"1.0\",\"position\":\"1\"}\n\n"),
        )),
        ReadRefusals,
    ),
)]
pub(crate) async fn log(State(api): State<Api>, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    let mut query = Query::new(uri.query());
    let after = Position(query.number("after", 0..=u64::MAX).unwrap_or(0));
    let limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    let types = event_types(&mut query);
    let order_id = query.one("order_id", |text| OrderId::new(text).map_err(|error| error.to_string().into()));
    let live = live_feed::is_wanted(&headers);
    let last_event_id = if live { live_feed::last_event_id(&headers, &mut query.faults) } else { None };
    query.finish()?;

    if live {
        let after = last_event_id.unwrap_or(after);
        return Ok(live_feed::follow(api, after, live_feed::Filter { types, order_id }));
    }
    let limit = limit as usize;
    let events = match order_id {
        Some(order_id) => of_one_order(&api.service, &order_id, after, &types, limit).await?,
        None => api.service.log(after, &types, PageLimit::events(limit)).await?,
    };
    Ok(page(&api.event_source, &events))
}

/// Reads the query parameter `type`, which may be repeated. A type that does not exist is a typing error.
pub(super) fn event_types(query: &mut Query<'_>) -> Vec<String> {
    let types = query.all("type");
    if types.iter().any(|given| !codec::EVENT_TYPES.contains(&&**given)) {
        query.faults.parameter("type", format!("must be one of {}", codec::EVENT_TYPES.join(", ")));
    }
    types.into_iter().map(|given| given.into_owned()).collect()
}

/// A page of events.
pub(super) fn page(event_source: &str, events: &[RecordedEvent]) -> Response {
    let mut response = Response::new(Body::from(cloud_event::write_page(event_source, events)));
    let content_type = HeaderValue::from_static("application/cloudevents-batch+json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The log, filtered by order: the order's own history, from where its positions are past `after`. An order has few
/// events and the log many, so the history is searched and not the log.
async fn of_one_order(
    service: &OrderService,
    order_id: &OrderId,
    after: Position,
    types: &[String],
    limit: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let search_page = PageLimit::events(MAX_LIMIT as usize);
    let mut version = Version::NONE;
    loop {
        let mut events = match service.history(order_id, version, types, search_page).await {
            Ok(events) => events,
            Err(QueryError::OrderNotFound) => return Ok(Vec::new()),
            Err(QueryError::Store(error)) => return Err(error),
        };
        match events.last() {
            // An order has a bounded history, so this ends.
            Some(last) if last.position <= after => version = last.version,
            Some(_) | None => {
                events.retain(|event| event.position > after);
                events.truncate(limit);
                return Ok(events);
            }
        }
    }
}
