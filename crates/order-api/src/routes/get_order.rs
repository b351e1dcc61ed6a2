use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;

use crate::openapi::{OrderReadRefusals, OrderView};
use crate::path_id::PathOrderId;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::view::{View, write_basic, write_full};
use crate::{Api, etag};

/// Read an order
///
/// A read that follows an accepted command sees it: no client ever has to wait for a view to catch up.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "Reading", operation_id = "getOrder",
    params(
        ("id" = String, Path, example = "ord-001", description = "The order's id."),
        ("view" = inline(Option<View>), Query,
            description = "How much is shown: `basic` (the default), the five fields that never change, or `full`, everything."),
    ),
    responses(
        (status = 200, description = "The order.", body = OrderView,
            headers(("ETag" = String, description = "The order's version in quotes, for `If-Match`."))),
        OrderReadRefusals,
    ),
)]
pub(crate) async fn get_order(
    State(api): State<Api>,
    order_id: PathOrderId,
    uri: Uri,
) -> Result<Response, Refusal> {
    let order_id = order_id.get()?;
    let mut query = Query::new(uri.query());
    let view = query.one("view", View::read).unwrap_or_default();
    query.finish()?;

    let mut body = Vec::with_capacity(256);
    let version = match view {
        View::Basic => {
            let order = api.service.summary(&order_id).await?;
            write_basic(&mut body, &order);
            order.version
        }
        View::Full => {
            let order = api.service.order(&order_id).await?;
            write_full(&mut body, &order_id, &order);
            order.version
        }
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ETAG, etag::of(version));
    Ok(response)
}
