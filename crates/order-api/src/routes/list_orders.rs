use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use order_application::{ListQuery, ListedOrder, Position, QueryError, StoreError};

use super::log;
use crate::json::Faults;
use crate::openapi::{ListRefusals, OrderView};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::view::{View, write_basic, write_full};
use crate::{Api, answer, cursor};

/// How many orders belong on the page and cannot be read.
const ORDERS_LEFT_OUT: HeaderName = HeaderName::from_static("orders-left-out");

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;
/// Bytes of one order's basic view, about.
const BASIC_BYTES: usize = 160;

/// List orders
///
/// All orders in the order they were placed, in pages. The `Link` header leads to the next page and is absent on the last;
/// follow it as it stands. Orders that are placed meanwhile come at the end: no page ever skips or repeats an order. A
/// page of full views may have fewer orders than `limit` when they are large; only a missing `Link` means the end.
///
/// Orders whose history is damaged, or was written by a newer release, are left out, and `Orders-Left-Out` says how many.
#[utoipa::path(
    get, path = "/orders", tag = "Reading", operation_id = "listOrders",
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "Most orders of one page; 100 if left out."),
        ("cursor" = Option<String>, Query, min_length = 1, description = "Where the page begins: opaque, from the `Link` of the page before."),
        ("view" = inline(Option<View>), Query,
            description = "How much is shown of each: `basic` (the default) or `full`."),
    ),
    responses(
        (status = 200, description = "A page of orders, as a bare array.", body = Vec<OrderView>,
            headers(
                ("Link" = String,
                    description = "`</orders?…>; rel=\"next\"` (RFC 8288), relative; absent on the last page."),
                ("Orders-Left-Out" = i64,
                    description = "How many orders belong on this page and cannot be read; absent when there are none."),
            )),
        ListRefusals,
    ),
)]
pub(crate) async fn list_orders(State(api): State<Api>, uri: Uri) -> Result<Response, Refusal> {
    let mut query = Query::new(uri.query());
    let limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    let after = query.one("cursor", cursor::read).unwrap_or(Position::START);
    let view = query.one("view", View::read).unwrap_or_default();
    query.finish()?;

    let page = api.service.list(&ListQuery { after, limit: limit as usize }).await;
    let page = page.map_err(|error| refusal(&api, error))?;
    let written = write_page(&api, &page.orders, view).await?;
    let mut response = answer::json(written.body);
    let left_out = page.left_out + written.left_out;
    if left_out > 0 {
        response.headers_mut().insert(ORDERS_LEFT_OUT, HeaderValue::from(left_out));
    }
    if let Some(next) = written.ended_at.or(page.next) {
        answer::link_to_next(&mut response, &target(limit, view, next));
    }
    Ok(response)
}

/// A cursor from beyond the log's end was never handed out, unless by the primary of this replica.
fn refusal(api: &Api, error: QueryError) -> Refusal {
    if matches!(error, QueryError::PositionAhead { .. }) && api.config.takes_commands {
        let mut faults = Faults::default();
        faults.parameter("cursor", cursor::NOT_OURS);
        return Refusal::invalid(faults);
    }
    log::refusal(api, error)
}

struct WrittenPage {
    body: Vec<u8>,
    /// Orders that could not be read.
    left_out: usize,
    /// Where it ended early.
    ended_at: Option<Position>,
}

/// Full views may be large, so the page ends early once it is.
async fn write_page(api: &Api, orders: &[ListedOrder], view: View) -> Result<WrittenPage, QueryError> {
    let mut body = Vec::with_capacity(2 + orders.len() * BASIC_BYTES);
    let (mut left_out, mut ended_at) = (0, None);
    body.push(b'[');
    for (index, ListedOrder { summary, placed_position }) in orders.iter().enumerate() {
        let full = match view {
            View::Basic => None,
            View::Full => match api.service.order(&summary.order_id).await {
                // It became so since the list was read; or the list is damaged, and has a row of no order.
                Err(
                    QueryError::OrderNotFound
                    | QueryError::Store(StoreError::Corrupt(_) | StoreError::NewerRelease(_)),
                ) => {
                    left_out += 1;
                    continue;
                }
                order => Some(order?),
            },
        };
        if body.len() > 1 {
            body.push(b',');
        }
        match full {
            Some(order) => write_full(&mut body, &summary.order_id, &order),
            None => write_basic(&mut body, summary),
        }
        if body.len() >= api.config.max_page_bytes && index + 1 < orders.len() {
            ended_at = Some(*placed_position);
            break;
        }
    }
    body.push(b']');
    Ok(WrittenPage { body, left_out, ended_at })
}

fn target(limit: u64, view: View, next: Position) -> String {
    let view = match view {
        View::Basic => "",
        View::Full => "&view=full",
    };
    format!("/orders?limit={limit}{view}&cursor={}", cursor::after(next))
}
