use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use order_application::{EventFilter, EventPage, Version};
use utoipa_axum::routes;

use super::event_page::{self, EventTypeFilter};
use crate::Api;
use crate::access::{Question, Scope};
use crate::asked_by::AskedBy;
use crate::openapi::{After, Event, OrderReadRefusals, PageSize};
use crate::path_id::PathOrderId;
use crate::query::Query;
use crate::refusal::Refusal;

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of(Scope::Read, routes!(order_events))
}

/// Read an order's history
///
/// The events of one order, oldest first, as CloudEvents 1.0. The `Link` header leads to the next page and is absent on the
/// last; later go on with `after` set to the `version` of the last event you have.
///
/// A page with a filter looks at a bounded stretch of the history: it may be short or empty, and its `Link` goes on.
#[utoipa::path(
    get, path = "/orders/{id}/events", tag = "Events", operation_id = "orderEvents",
    params(
        ("id" = String, Path, example = "ord-001", description = "The order's id."),
        ("after" = inline(Option<After>), Query, description = "Only events after this version; 0, the beginning, if left out."),
        ("limit" = inline(Option<PageSize>), Query, description = "Most events of one page; 100 if left out. A page of large events may have fewer."),
        ("type" = inline(Option<Vec<EventTypeFilter>>), Query, explode, max_items = 100, description = "Only events of this type, which may be one that this release does not know; may be repeated."),
    ),
    responses(
        (status = 200, description = "A page of events, as a bare array.", content_type = "application/cloudevents-batch+json", body = Vec<Event>,
            headers(("Link" = String,
                description = "`</orders/…/events?…>; rel=\"next\"` (RFC 8288), relative; absent at the end."))),
        OrderReadRefusals,
    ),
)]
pub(crate) async fn order_events(
    State(api): State<Api>,
    order_id: PathOrderId,
    asked_by: Option<Extension<AskedBy>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let order_id = order_id.get()?;
    let mut query = Query::new(uri.query());
    let after = Version(query.place("after").unwrap_or_default());
    let limit = event_page::limit(&mut query);
    let filter = EventFilter { types: event_page::types(&mut query), order_id: None };
    query.finish()?;

    let reading = async { Ok(api.service.history(&order_id, after, &filter, limit).await?) };
    let (page, share) = event_page::read(&api, asked_by.as_deref(), limit, reading).await?;
    let EventPage { events, next } = page;
    let path = || format!("/orders/{order_id}/events");
    let next = next.map(|Version(next)| event_page::target(&path(), next, limit, &filter));
    Ok(event_page::page(&api, events, next, share))
}
