use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use order_application::{PageLimit, Version};

use super::log::{DEFAULT_LIMIT, MAX_LIMIT, event_types, page};
use crate::Api;
use crate::openapi::{After, Event, OrderReadRefusals};
use crate::path_id::PathOrderId;
use crate::query::Query;
use crate::refusal::Refusal;

/// Read an order's history
///
/// The events of one order, oldest first, as CloudEvents 1.0. Page with `after` set to the `version` of the last event you
/// have; an empty page is the end.
#[utoipa::path(
    get, path = "/orders/{id}/events", tag = "Events", operation_id = "orderEvents",
    params(
        ("id" = String, Path, example = "ord-001", description = "The order's id."),
        ("after" = inline(Option<After>), Query, description = "Only events after this version; 0, the beginning, if left out."),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "Most events of one page; 100 if left out. A page of large events may have fewer."),
        ("type" = Option<Vec<String>>, Query, explode, description = "Only events of this type, such as `order.placed.v1`; may be repeated."),
    ),
    responses(
        (status = 200, description = "A page of events, as a bare array.", content_type = "application/cloudevents-batch+json", body = Vec<Event>),
        OrderReadRefusals,
    ),
)]
pub(crate) async fn order_events(
    State(api): State<Api>,
    order_id: PathOrderId,
    uri: Uri,
) -> Result<Response, Refusal> {
    let order_id = order_id.get()?;
    let mut query = Query::new(uri.query());
    let after = query.number("after", 0..=u64::MAX).unwrap_or(0);
    let limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    let types = event_types(&mut query);
    query.finish()?;

    let limit = PageLimit::events(limit as usize);
    let events = api.service.history(&order_id, Version(after), &types, limit).await?;
    Ok(page(&api.event_source, &events))
}
