//! One file per verb: its handler, the shape of its request, its documentation.

mod docs;
mod get_order;
pub(crate) mod health;
mod list_orders;
mod live_feed;
mod log;
mod order_events;
mod payment;
mod place;
mod problems;
pub(crate) mod ready;
mod reserve;
mod ship;

use axum::Router;
use axum::routing::MethodRouter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

/// What clients build on; the OpenAPI document lists it in this order.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(crate::openapi::frame())
        .routes(routes!(list_orders::list_orders, place::place))
        .routes(routes!(get_order::get_order))
        .routes(routes!(payment::authorize_payment))
        .routes(routes!(reserve::reserve_inventory))
        .routes(routes!(ship::ship))
        .routes(routes!(order_events::order_events))
        .routes(routes!(log::log))
        .routes(routes!(health::health))
        .routes(routes!(ready::ready))
}

/// What a read replica has of it. The paths of commands are there, too, without any method, so that a client which has
/// come to the wrong place learns that.
pub(crate) fn reading() -> OpenApiRouter<Api> {
    let reading = OpenApiRouter::new()
        .routes(routes!(list_orders::list_orders))
        .routes(routes!(get_order::get_order))
        .routes(routes!(order_events::order_events))
        .routes(routes!(log::log))
        .routes(routes!(health::health))
        .routes(routes!(ready::ready));
    let document = documented().into_openapi();
    let only_commands = document.paths.paths.iter().filter(|(_, item)| item.get.is_none());
    only_commands.fold(reading, |router, (path, _)| router.route(path, MethodRouter::new()))
}

/// What people look at.
pub(crate) fn undocumented() -> Router<Api> {
    docs::router().merge(problems::router())
}
