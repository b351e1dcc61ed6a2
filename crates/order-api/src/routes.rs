//! One file per verb. A command's says where it is, what its body is and what it means; a question's also how it is answered.

mod cancel;
mod capture;
mod complete;
mod decline;
mod deliver;
mod docs;
mod event_page;
mod get_order;
pub(crate) mod health;
mod hold;
mod list_orders;
mod list_page;
mod live_feed;
mod log;
mod lost;
mod order_actions;
mod order_events;
mod order_filter;
pub(crate) mod pages;
mod payment;
mod place;
mod problems;
pub(crate) mod ready;
mod receive;
mod refund;
mod reject;
mod release;
mod reserve;
mod returns;
mod ship;
mod unhold;
mod units;
mod values;
mod void;

use axum::routing::MethodRouter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use live_feed::LiveFeed;

use crate::{Api, command};

/// What clients build on; the OpenAPI document lists it in this order.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    let router = reading(OpenApiRouter::with_openapi(crate::openapi::frame()));
    let router = command::add(router, &place::ROUTE);
    let router = command::add(router, &payment::ROUTE);
    let router = command::add(router, &decline::ROUTE);
    let router = command::add(router, &void::ROUTE);
    let router = command::add(router, &reserve::ROUTE);
    let router = command::add(router, &release::ROUTE);
    let router = command::add(router, &ship::ROUTE);
    let router = command::add(router, &deliver::ROUTE);
    let router = command::add(router, &lost::ROUTE);
    let router = command::add(router, &capture::ROUTE);
    let router = command::add(router, &refund::ROUTE);
    let router = command::add(router, &cancel::ROUTE);
    let router = command::add(router, &returns::ROUTE);
    let router = command::add(router, &receive::ROUTE);
    let router = command::add(router, &reject::ROUTE);
    let router = command::add(router, &hold::ROUTE);
    let router = command::add(router, &unhold::ROUTE);
    command::add(router, &complete::ROUTE)
}

/// What a read replica has of it. The paths of commands are there, too, without any method, so that a client which has
/// come to the wrong place learns that.
pub(crate) fn of_a_replica() -> OpenApiRouter<Api> {
    let document = documented().into_openapi();
    let only_commands = document.paths.paths.iter().filter(|(_, item)| item.get.is_none());
    let router = reading(OpenApiRouter::new());
    only_commands.fold(router, |router, (path, _)| router.route(path, MethodRouter::new()))
}

fn reading(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(list_orders::list_orders))
        .routes(routes!(get_order::get_order))
        .routes(routes!(order_actions::order_actions))
        .routes(routes!(order_events::order_events))
        .routes(routes!(log::log))
        .routes(routes!(health::health))
        .routes(routes!(ready::ready))
}
