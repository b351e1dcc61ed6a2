use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use order_application::{ListQuery, ListedOrder, OrderPage, OrderService, Position, QueryError, StoreError};

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
    let OrderPage { orders, mut left_out, mut next } = page.map_err(|error| refusal(&api, error))?;
    let body = match view {
        View::Basic => basic_page(&orders),
        View::Full => {
            let page = full_page(&api.service, &orders, api.config.max_page_bytes).await?;
            next = page.ended_at.or(next);
            left_out += page.left_out;
            page.body
        }
    };
    let mut response = answer::json(body);
    if left_out > 0 {
        response.headers_mut().insert(ORDERS_LEFT_OUT, HeaderValue::from(left_out));
    }
    if let Some(next) = next {
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

fn basic_page(orders: &[ListedOrder]) -> Vec<u8> {
    let mut body = Vec::with_capacity(2 + orders.len() * BASIC_BYTES);
    body.push(b'[');
    for (index, order) in orders.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write_basic(&mut body, &order.summary);
    }
    body.push(b']');
    body
}

struct FullPage {
    body: Vec<u8>,
    /// Orders that could not be read.
    left_out: usize,
    /// Where it ended early.
    ended_at: Option<Position>,
}

/// Full views may be large, so the page ends early once it is.
async fn full_page(
    service: &OrderService,
    orders: &[ListedOrder],
    max_bytes: usize,
) -> Result<FullPage, QueryError> {
    let mut page = FullPage { body: vec![b'['], left_out: 0, ended_at: None };
    for (index, listed) in orders.iter().enumerate() {
        let order_id = &listed.summary.order_id;
        let order = match service.order(order_id).await {
            // It became so since the list was read; or the list is damaged, and has a row of no order.
            Err(
                QueryError::OrderNotFound
                | QueryError::Store(StoreError::Corrupt(_) | StoreError::NewerRelease(_)),
            ) => {
                page.left_out += 1;
                continue;
            }
            order => order?,
        };
        if page.body.len() > 1 {
            page.body.push(b',');
        }
        write_full(&mut page.body, order_id, &order);
        if page.body.len() >= max_bytes && index + 1 < orders.len() {
            page.ended_at = Some(listed.placed_position);
            break;
        }
    }
    page.body.push(b']');
    Ok(page)
}

fn target(limit: u64, view: View, next: Position) -> String {
    let view = match view {
        View::Basic => "",
        View::Full => "&view=full",
    };
    format!("/orders?limit={limit}{view}&cursor={}", cursor::after(next))
}
