//! The HTTP face of the order service: routes, shapes, problem documents, OpenAPI.
//!
//! [`router`] gives everything but the listener: serving, header timeouts and connection limits are the binary's. The
//! crate knows the use cases ([`OrderService`]) and the domain, and never a store or a bus.
//!
//! A request's way: `edge` (writes problems out) → a file under `routes`, one for each verb; commands share the way in
//! `command` → `body` and `json` read it → the service → `view` or [`order_application::cloud_event`] write the answer.
//! Whatever goes wrong is a `refusal`, which alone decides its status and code.

mod access;
mod answer;
mod asked_by;
mod body;
mod byte_budget;
mod command;
mod config;
mod cursor;
mod edge;
mod etag;
mod feeds;
mod head;
mod incidents;
mod json;
mod metrics;
mod no_room;
mod openapi;
mod operators;
mod path_id;
mod problem;
mod query;
mod refusal;
mod routes;
mod shares;
mod starting;
mod trace;
mod turns;
mod view;

use std::fmt;
use std::sync::{Arc, Weak};

use axum::Router;
use axum::extract::{Request, State};
use order_application::{OrderService, RepeatedFault};

pub use access::{Access, AccessRequest, AllowanceOf, Caller, Exhausted, NotAdmitted, Scope, Scopes};
pub use asked_by::{AskedBy, Connection, network};
pub use config::ApiConfig;
pub use head::HeadFault;
pub use metrics::{Metrics, Page, Sample, Source, StoreSource};
pub use no_room::{LONG_UNTAKEN, no_room, no_room_any_more};
pub use openapi::openapi_json;
pub use operators::operators;
pub use routes::LiveFeed;
pub use starting::starting;
pub use turns::{Turn, Turns};

use crate::feeds::Feeds;
use crate::refusal::Refusal;
use crate::shares::Shares;
use crate::trace::Recorder;
use crate::turns::TurnsOfAskers;

/// Full views are read and written out on the runtime's own threads: more pages of them at a time would only keep others
/// waiting.
const FULL_PAGES_AT_ONCE: usize = 4;
/// A page of events may be as large as the largest of them, and nobody knows before it is read: at most so many are in memory
/// without being counted.
const EVENT_PAGES_AT_ONCE: usize = 16;

/// What handlers share. One reference count to clone.
type Api = Arc<ApiState>;

struct ApiState {
    service: OrderService,
    config: ApiConfig,
    /// The events' source as a JSON string, quotes included.
    event_source: String,
    feeds: Feeds,
    /// What request bodies take that are being read.
    bodies: Shares,
    /// What pages take that clients have not taken yet.
    pages: Shares,
    /// For deciding pages of full views.
    full_pages: TurnsOfAskers,
    /// For reading pages of events.
    event_pages: TurnsOfAskers,
    /// The store, as `/ready` has it.
    not_ready: RepeatedFault,
    /// Lists whose orders could not all be read.
    broken_lists: RepeatedFault,
}

/// Every route of the service.
pub fn router(service: OrderService, config: ApiConfig) -> Router {
    let mut event_source = String::new();
    json::push_string(&mut event_source, &config.event_source);
    let access = config.access.clone();
    let routes =
        if config.takes_commands { routes::documented(access) } else { routes::of_a_replica(access) };
    let feeds = Feeds::new(service.clone(), &config, event_source.clone());
    let bodies = Shares::in_portions_of(config.max_open_body_bytes);
    let pages = Shares::in_portions_of(config.max_open_page_bytes);
    let full_pages = Turns::new(FULL_PAGES_AT_ONCE);
    let event_pages = Turns::new(EVENT_PAGES_AT_ONCE);
    let api = Arc::new(ApiState {
        service,
        config,
        event_source,
        feeds,
        bodies,
        pages,
        full_pages,
        event_pages,
        not_ready: RepeatedFault::default(),
        broken_lists: RepeatedFault::default(),
    });
    let tracer = api.config.tracer.clone();
    let recorder = tracer.map(|tracer| Recorder::new(tracer, api.config.is_encrypted));
    let (metrics, requests) = (&api.config.metrics, Arc::clone(api.config.metrics.requests()));
    metrics.add(Arc::new(ApiSource(Arc::downgrade(&api))));
    routes
        .pages(routes::pages::router())
        .into_router()
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(edge::layer(requests, recorder))
        .with_state(api)
}

/// What the API itself has to say in metrics. The metrics belong to it, so it is not to be kept by them.
struct ApiSource(Weak<ApiState>);

impl Source for ApiSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(api) = self.0.upgrade() else { return Ok(()) };
        if api.config.takes_commands {
            metrics::commands(page, api.service.command_figures())?;
        }
        metrics::cache(page, api.service.cache_figures())?;
        let (open, most, refused) = api.feeds.figures();
        metrics::feeds(page, open, most, refused)?;
        let budgets = [("bodies", api.bodies.taken_of()), ("pages", api.pages.taken_of())];
        metrics::budgets(page, budgets)?;
        metrics::ready_checks(page, &api.ready_checks())
    }
}

async fn not_found(request: Request) -> Refusal {
    body::drain_request(request);
    Refusal::not_found()
}

async fn method_not_allowed(State(api): State<Api>, request: Request) -> Refusal {
    body::drain_request(request);
    Refusal::method_not_allowed(!api.config.takes_commands)
}
