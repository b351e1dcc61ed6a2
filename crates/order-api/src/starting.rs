//! What is answered from the moment that the address is taken until the store is open.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use order_application::ViewsProgress;

use crate::access::Access;
use crate::metrics::{self, Metrics, Page, Source};
use crate::refusal::Refusal;
use crate::routes::{health::health, ready};
use crate::{body, edge};

/// The routes of a service whose store is being opened: it is alive, not ready, and asks everybody else to come again.
/// `views` is where the store tells how far it is, which only those learn whom `access` lets, if it is there; and only they see
/// metrics, which have what there is so far.
pub fn starting(views: ViewsProgress, metrics: Metrics, access: Option<Arc<dyn Access>>) -> Router {
    let requests = Arc::clone(metrics.requests());
    // Once it serves, the API says how the service is, and nobody is answered here any more.
    let metrics = metrics.with(Arc::new(StartingSource(views.clone())));
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(readiness))
        .route("/metrics", get(scrape))
        .fallback(not_yet)
        .method_not_allowed_fallback(not_yet)
        .layer(edge::layer(requests, None))
        .with_state(Starting { views, metrics, access })
}

#[derive(Clone)]
struct Starting {
    views: ViewsProgress,
    metrics: Metrics,
    access: Option<Arc<dyn Access>>,
}

/// What `/ready` says meanwhile, in metrics.
struct StartingSource(ViewsProgress);

impl Source for StartingSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        metrics::Readiness(false).write(page)?;
        metrics::ready_checks(page, &ready::checks_of_start(Some(&self.0.now())))
    }
}

async fn readiness(State(Starting { views, access, .. }): State<Starting>, request: Request) -> Response {
    let shown = ready::shows_details(access.as_deref(), request.headers(), request.extensions()).await;
    ready::starting(shown.then(|| views.now()).as_ref())
}

async fn scrape(State(Starting { metrics, access, .. }): State<Starting>, request: Request) -> Response {
    if ready::shows_details(access.as_deref(), request.headers(), request.extensions()).await {
        return metrics.answer(request.headers());
    }
    not_yet(request).await.into_response()
}

async fn not_yet(request: Request) -> Refusal {
    body::drain_request(request);
    Refusal::starting()
}
