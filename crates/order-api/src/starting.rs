//! What is answered from the moment that the address is taken until the store is open.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use order_application::ViewsProgress;

use crate::access::Access;
use crate::refusal::Refusal;
use crate::routes::{health::health, ready};
use crate::{body, edge};

/// The routes of a service whose store is being opened: it is alive, not ready, and asks everybody else to come again.
/// `views` is where the store tells how far it is, which only those learn whom `access` lets, if it is there.
pub fn starting(views: ViewsProgress, access: Option<Arc<dyn Access>>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(readiness))
        .fallback(not_yet)
        .method_not_allowed_fallback(not_yet)
        .layer(edge::layer())
        .with_state(Starting { views, access })
}

#[derive(Clone)]
struct Starting {
    views: ViewsProgress,
    access: Option<Arc<dyn Access>>,
}

async fn readiness(State(Starting { views, access }): State<Starting>, request: Request) -> Response {
    let shown = ready::shows_details(access.as_deref(), request.headers(), request.extensions()).await;
    ready::starting(shown.then(|| views.now()).as_ref())
}

async fn not_yet(request: Request) -> Refusal {
    body::drain_request(request).await;
    Refusal::starting()
}
