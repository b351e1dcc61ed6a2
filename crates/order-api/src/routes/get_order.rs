use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use order_application::{AsOf, Version};
use utoipa_axum::routes;

use crate::access::{Question, Scope};
use crate::openapi::{After, OrderReadRefusals, OrderView, Tags, Time};
use crate::path_id::PathOrderId;
use crate::query::{self, Query};
use crate::refusal::Refusal;
use crate::view::{View, write_basic, write_full};
use crate::{Api, answer, etag};

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of(Scope::Read, routes!(get_order))
}

/// Read an order
///
/// A read that follows an accepted command sees it: no client ever has to wait for a view to catch up. With `If-None-Match`
/// the order comes only if it is at none of the versions that are named.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "Reading", operation_id = "getOrder",
    params(
        ("id" = String, Path, example = "ord-001", description = "The order's id."),
        ("view" = inline(Option<View>), Query,
            description = "How much is shown: `basic` (the default), five fields, the same in every release, or `full`, everything."),
        ("version" = inline(Option<After>), Query,
            description = "The order as it was after so many events; 404 if it never came so far. Not beside `as_of`."),
        ("as_of" = inline(Option<Time>), Query,
            description = "The order as it was at this time (RFC 3339 with an offset); 404 if it was not yet. The future is now. Not beside `version`."),
        ("If-None-Match" = inline(Option<Tags>), Header,
            description = "`*`, or an `ETag` or a list of them that the client has: the answer is 304 when one is the order's."),
    ),
    responses(
        (status = 200, description = "The order.", body = OrderView,
            headers(("ETag" = String, description = "The order's version in quotes, for `If-Match` and `If-None-Match`."))),
        (status = 304, description = "The order is at a version that `If-None-Match` names.",
            headers(("ETag" = String, description = "That version in quotes."))),
        OrderReadRefusals,
    ),
)]
pub(crate) async fn get_order(
    State(api): State<Api>,
    order_id: PathOrderId,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let order_id = order_id.get()?;
    let mut query = Query::new(uri.query());
    let view = query.one("view", View::read).unwrap_or_default();
    let version = query.place("version").map(|version| AsOf::Version(Version(version)));
    let time = query.one("as_of", query::time).map(AsOf::Time);
    if version.is_some() && time.is_some() {
        query.faults.parameter("as_of", "must be left out beside version");
    }
    let known = etag::if_none_match(&headers, &mut query.faults);
    query.finish()?;

    let mut body = Vec::with_capacity(256);
    let version = match (version.or(time), view) {
        (None, View::Basic) => {
            let order = api.service.summary(&order_id).await?;
            write_basic(&mut body, &order);
            order.version
        }
        (None, View::Full) => {
            let order = api.service.order(&order_id).await?;
            write_full(&mut body, &order_id, &order);
            order.version
        }
        (Some(as_of), view) => {
            let order = api.service.order_as_of(&order_id, as_of).await?;
            match view {
                View::Basic => write_basic(&mut body, &order.summary(&order_id)),
                View::Full => write_full(&mut body, &order_id, &order),
            }
            order.version
        }
    };
    if view == View::Full {
        // It counts for its length, and may be long.
        body.shrink_to_fit();
    }
    let mut response = if known.is_some_and(|versions| versions.contain(version)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::json(body)
    };
    response.headers_mut().insert(header::ETAG, etag::of(version));
    Ok(response)
}
