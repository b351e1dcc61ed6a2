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
mod metrics;
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

use std::sync::Arc;

pub use live_feed::LiveFeed;

use crate::access::{Access, Routes};

/// What clients build on; the OpenAPI document lists it in this order.
pub(crate) fn documented(access: Option<Arc<dyn Access>>) -> Routes {
    reading(Routes::new(crate::openapi::frame(), access))
        .command(&place::ROUTE)
        .command(&payment::ROUTE)
        .command(&decline::ROUTE)
        .command(&void::ROUTE)
        .command(&reserve::ROUTE)
        .command(&release::ROUTE)
        .command(&ship::ROUTE)
        .command(&deliver::ROUTE)
        .command(&lost::ROUTE)
        .command(&capture::ROUTE)
        .command(&refund::ROUTE)
        .command(&cancel::ROUTE)
        .command(&returns::ROUTE)
        .command(&receive::ROUTE)
        .command(&reject::ROUTE)
        .command(&hold::ROUTE)
        .command(&unhold::ROUTE)
        .command(&complete::ROUTE)
}

/// The paths of the API, as the router has them.
pub(crate) fn paths() -> Vec<String> {
    documented(None).into_openapi().paths.paths.into_keys().collect()
}

/// What a read replica has of it. The paths of commands are there, too, without any method, so that a client which has
/// come to the wrong place learns that.
pub(crate) fn of_a_replica(access: Option<Arc<dyn Access>>) -> Routes {
    let document = documented(None).into_openapi();
    let only_commands = document.paths.paths.iter().filter(|(_, item)| item.get.is_none());
    let routes = reading(Routes::new(crate::openapi::frame(), access));
    only_commands.fold(routes, |routes, (path, _)| routes.without_methods(path))
}

fn reading(routes: Routes) -> Routes {
    routes
        .question(list_orders::question())
        .question(get_order::question())
        .question(order_actions::question())
        .question(order_events::question())
        .question(log::question())
        .question(health::question())
        .question(ready::question())
        .question(metrics::question())
}
