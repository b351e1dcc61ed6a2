use std::borrow::Cow;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use order_application::{ListQuery, Position, QueryError, Sort};
use utoipa_axum::routes;

use super::list_page::{self, ListPage};
use super::{log, order_filter};
use crate::access::{Question, Scope};
use crate::asked_by::AskedBy;
use crate::json::Faults;
use crate::openapi::{
    CustomerFilter, ListRefusals, ListSort, OrderStatus, OrderView, PageCursor, PageSize, PaymentFilter,
    SkuFilter, Time, Total, TrackingNumberFilter,
};
use crate::query::{self, Query};
use crate::refusal::Refusal;
use crate::view::View;
use crate::{Api, answer, cursor, no_room};

/// How many orders belong on the page and cannot be read.
const ORDERS_LEFT_OUT: HeaderName = HeaderName::from_static("orders-left-out");

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of(Scope::Read, routes!(list_orders))
}

/// Find orders
///
/// Orders that meet every filter, in the order of `sort`, in pages. The `Link` header leads to the next page and is absent on
/// the last; follow it as it stands. An order that does not change while you page comes exactly once. One that does may come
/// again in the order of `updated`, or be missed in that of `-updated`.
///
/// A page may be short or empty while there are more: only so many orders are looked at for one, and full views may be large.
/// Only a missing `Link` means the end.
///
/// Orders whose history is damaged, or was written by a newer release, are left out, and `Orders-Left-Out` says how many. With
/// a filter they are not counted: nobody can tell whether they meet it.
#[utoipa::path(
    get, path = "/orders", tag = "Reading", operation_id = "listOrders",
    params(
        ("limit" = inline(Option<PageSize>), Query, description = "Most orders of one page; 100 if left out."),
        ("cursor" = inline(Option<PageCursor>), Query,
            description = "Where the page begins: opaque, from the `Link` of the page before, with the same filters and sort."),
        ("view" = inline(Option<View>), Query,
            description = "How much is shown of each: `basic` (the default) or `full`."),
        ("sort" = inline(Option<ListSort>), Query,
            description = "In the order of placement, or of the last event; with `-` the latest first. `placed` if left out."),
        ("status" = Option<Vec<OrderStatus>>, Query, explode = true, description = "One of these; may be repeated."),
        ("customer_id" = inline(Option<CustomerFilter>), Query, description = "Whose orders."),
        ("tracking_number" = inline(Option<TrackingNumberFilter>), Query,
            description = "Exactly this parcel, also one that was lost."),
        ("payment_id" = inline(Option<PaymentFilter>), Query,
            description = "Exactly this payment, also one that was declined or voided."),
        ("sku" = inline(Option<SkuFilter>), Query,
            description = "With a line of exactly this SKU, also one that was cancelled."),
        ("placed_after" = inline(Option<Time>), Query, description = "Placed later than this: RFC 3339 with an offset."),
        ("placed_before" = inline(Option<Time>), Query, description = "Placed earlier than this."),
        ("updated_after" = inline(Option<Time>), Query, description = "Whose last event was later than this."),
        ("updated_before" = inline(Option<Time>), Query, description = "Whose last event was earlier than this."),
        ("min_total_cents" = inline(Option<Total>), Query, description = "The least total."),
        ("max_total_cents" = inline(Option<Total>), Query, description = "The highest total."),
        ("on_hold" = Option<bool>, Query, description = "Whether it is on hold."),
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
pub(crate) async fn list_orders(
    State(api): State<Api>,
    asked_by: Option<Extension<AskedBy>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let mut query = Query::new(uri.query());
    let limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    let view = query.one("view", View::read).unwrap_or_default();
    let filter = order_filter::read(&mut query);
    let sort = query.one("sort", read_sort).unwrap_or_default();
    // With a faulty filter it is not the list that the cursor is of.
    let is_known = query.faults.is_empty();
    let read_cursor = |text: &str| match is_known {
        true => cursor::read(text, &filter, sort),
        false => cursor::read_any(text),
    };
    let after = query.one("cursor", read_cursor);
    query.finish()?;

    let list = ListQuery { filter, sort, after, limit: limit as usize };
    let asked_by = asked_by.as_deref();
    let bytes = list_page::reserved_bytes(list.limit, view);
    let reservation = no_room::reserve_page(&api, asked_by, bytes)?;
    let page = api.service.list(&list).await.map_err(|error| refusal(&api, error))?;
    let ListPage { body, left_out, next } =
        list_page::decide(&api, asked_by, page, &list.filter, view, reservation).await?;
    let mut response = answer::json(body);
    if left_out > 0 {
        response.headers_mut().insert(ORDERS_LEFT_OUT, HeaderValue::from(left_out));
    }
    if let Some(next) = next {
        answer::link_to_next(&mut response, &target(&list, view, next));
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

fn read_sort(text: &str) -> Result<Sort, Cow<'static, str>> {
    Sort::from_name(text).ok_or_else(|| query::one_of(Sort::ALL.map(Sort::as_str)).into())
}

/// The path of the page of a list that begins after a place.
fn target(list: &ListQuery, view: View, next: Position) -> String {
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.append_pair("limit", &list.limit.to_string());
    if view == View::Full {
        parameters.append_pair("view", "full");
    }
    order_filter::write(&list.filter, &mut parameters);
    if list.sort != Sort::default() {
        parameters.append_pair("sort", list.sort.as_str());
    }
    parameters.append_pair("cursor", &cursor::after(next, &list.filter, list.sort));
    format!("/orders?{}", parameters.finish())
}
